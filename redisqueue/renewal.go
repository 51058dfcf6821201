package redisqueue

// Keeping permits good: they are renewed by a goroutine of their own, so that
// neither the pod's beats nor a slow limit source wait for renewals, nor they for
// these; and many in one call, so that a pod with hundreds of permits keeps them
// also where Redis is a long way off.

import (
	"context"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
)

// renewBatch bounds the permits in one renewal, and so the length of its script.
const renewBatch = 64

// startRenewer starts the renewer, unless it runs. It runs while the pod has permits.
// The caller holds mu.
func (q *RedisQueue) startRenewer() {
	if q.renewing || q.closed {
		return
	}
	q.renewing = true
	q.run(q.renewer)
}

func (q *RedisQueue) renewer() {
	for {
		q.mu.Lock()
		due := time.Now().Add(maxSleep)
		for p := range q.permits {
			if !p.renewing && p.announced == 0 && p.renewal.Before(due) {
				due = p.renewal
			}
		}
		if len(q.permits) == 0 || q.closed {
			q.renewing = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		if q.pause(time.Until(due), q.renewSoon) {
			q.renewPermits()
		}
	}
}

// renewPermits renews those permits of this pod that are due, and with them those
// that soon will be. It does not wait for the answers.
func (q *RedisQueue) renewPermits() {
	now, soon := time.Now(), q.config.renewEvery()/4
	var due []*permit
	some := false
	q.mu.Lock()
	for p := range q.permits {
		if !p.renewing && p.announced == 0 && now.Add(soon).After(p.renewal) {
			due = append(due, p)
			some = some || !now.Before(p.renewal)
		}
	}
	if !some {
		due = nil
	}
	for _, p := range due {
		p.renewing, p.renewal = true, now.Add(q.config.renewEvery())
	}
	q.mu.Unlock()
	for len(due) > 0 {
		batch := due[:min(len(due), renewBatch)]
		due = due[len(batch):]
		q.work.Go(func() { q.renewBatch(batch) })
	}
}

// renewBatch renews permits in one call, and ends those that can be renewed no
// more. One whose keys are of another type spoils the call: then each is renewed
// by itself.
func (q *RedisQueue) renewBatch(batch []*permit) {
	renewed, err := q.renew(q.ctx, batch)
	if err != nil && classify(err) == returned && len(batch) > 1 {
		for _, p := range batch {
			q.renewBatch([]*permit{p})
		}
		return
	}
	again := time.Now().Add(q.config.renewEvery() / 3) // there may be time for another try
	q.mu.Lock()
	for _, p := range batch {
		if p.renewing = false; err != nil && again.Before(p.renewal) {
			p.renewal = again
		}
	}
	q.mu.Unlock()
	q.wakeRenewer()
	for i, p := range batch {
		if err == nil && !renewed[i] {
			q.expire(p)
		}
	}
}

// wakeRenewer makes the renewer look again at what is due.
func (q *RedisQueue) wakeRenewer() {
	select {
	case q.renewSoon <- struct{}{}:
	default:
	}
}

// lifetime is how long a permit is good, from the moment at which the call was
// sent that Redis has confirmed it by last.
type lifetime struct {
	from elapsed.Moment
	good time.Duration
}

// left is for how long it is good yet, by the clock that says the least: the
// monotonic one stands still while a machine is suspended. Below 0 it is over.
func (l lifetime) left() time.Duration { return l.good - l.from.Since() }

// deadline is when it ends, on the monotonic clock.
func (l lifetime) deadline() time.Time { return l.from.Time().Add(l.good - l.from.Jumped()) }

// renew renews permits, once. False is for a permit that has ended: it was
// settled, its lease is over, or it is as old as a permit may be, on Redis's
// clock or by what has passed at this pod.
func (q *RedisQueue) renew(ctx context.Context, permits []*permit) (renewed []bool, err error) {
	renewed = make([]bool, len(permits))
	sent := elapsed.Now()
	var asked []renewal
	var places []int // of those asked for
	before := make([]lifetime, len(permits))
	q.mu.Lock()
	for i, p := range permits {
		before[i] = p.life
		good := min(q.config.permitGood(), gatewayqueue.PermitBound-p.made.Since())
		if good > 0 {
			asked = append(asked, renewal{permit: p, good: good, inTime: p.life.left() > 0})
			places = append(places, i)
		}
	}
	q.mu.Unlock()
	if len(asked) == 0 {
		return renewed, nil
	}
	replies, err := q.store.renew(ctx, asked)
	q.heard(nil, err)
	if err != nil {
		return renewed, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for n, r := range replies {
		p, was := asked[n].permit, before[places[n]]
		if p.announced > 0 { // meanwhile: it needs none any more
			renewed[places[n]] = true
			continue
		}
		age := time.Duration(r.now-p.grantedAt) * time.Millisecond
		good := min(asked[n].good, gatewayqueue.PermitBound-age)
		// An answer that comes too late counts no more: the bucket may have had another
		// holder before the renewal was executed, whose slot was lost since.
		tooLate := -was.left() > q.config.window
		if r.code != "gone" && good > 0 && !tooLate {
			p.life = lifetime{sent, good}
			renewed[places[n]] = true
		}
	}
	return renewed, nil
}

// expire ends a permit that can be renewed no more.
func (q *RedisQueue) expire(p *permit) {
	q.mu.Lock()
	_, held := q.permits[p]
	delete(q.permits, p)
	p.life.good = min(p.life.good, p.life.from.Since())
	if l := q.lines[p.bucket]; l != nil {
		l.askNow()
	}
	q.mu.Unlock()
	if !held {
		return // it was settled meanwhile
	}
	q.config.observe(gatewayqueue.Event{
		Kind: gatewayqueue.EventExpired, ShardID: p.shard, Bucket: p.bucket, Elapsed: time.Since(p.granted),
	})
	q.config.log.Warn("a permit ended unreported: its bucket opens a window later", "ticket", p.ticket)
}
