package redisqueue

import (
	"context"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// permit is a granted ticket whose shard has not identified yet.
type permit struct {
	queue          *RedisQueue
	ticket         string
	shard          int
	bucket         int
	maxConcurrency int       // at the grant
	granted        time.Time // for events, where it was imported
	grantedAt      int64     // the same, in ms on Redis's clock
	bound          time.Time // when it ends, whoever renews it

	// Under the queue's mu.
	deadline time.Time
	imported bool          // from a record: its holder is somewhere else
	within   time.Duration // until when after the report its IDENTIFY may leave
	renewal  time.Time     // when it is due
	settled  bool
}

// newPermit makes the permit of a granted waiter. The caller holds mu.
func (q *RedisQueue) newPermit(w *waiter) *permit {
	p := &permit{
		queue: q, ticket: w.ticket, shard: w.shard, bucket: w.bucket, maxConcurrency: w.maxConcurrency,
		granted: w.sent, grantedAt: w.granted, bound: w.sent.Add(gatewayqueue.PermitBound),
		deadline: w.sent.Add(q.config.permitGood()),
	}
	if !q.closed {
		p.renewal = w.sent.Add(q.config.renewEvery())
		q.permits[p] = struct{}{}
		q.keep()
		if p.renewal.Before(q.beatDue()) {
			q.look() // the keeper sleeps until then
		}
	}
	return p
}

// giveBack gives up a grant that nobody took. The caller holds mu.
func (q *RedisQueue) giveBack(w *waiter) {
	p := &permit{queue: q, ticket: w.ticket, shard: w.shard, bucket: w.bucket, settled: true}
	q.seeTo(func() { _ = p.tell(p.abandon) }) // it logs what it could not tell
}

// seeTo runs f, which outlives contexts, so that Close waits for it a while. The
// caller holds mu.
func (q *RedisQueue) seeTo(f func()) {
	if q.closed {
		go f()
		return
	}
	q.run(f)
}

func (p *permit) Deadline() time.Time {
	p.queue.mu.Lock()
	defer p.queue.mu.Unlock()
	return p.deadline
}

func (p *permit) Identified(ctx context.Context) error {
	return p.settle(ctx, gatewayqueue.EventIdentified, p.identified)
}

func (p *permit) Abandon(ctx context.Context) error {
	return p.settle(ctx, gatewayqueue.EventAbandoned, p.abandon)
}

// settle says what became of the permit, once.
func (p *permit) settle(ctx context.Context, kind gatewayqueue.EventKind, call func(context.Context) error) error {
	q := p.queue
	q.mu.Lock()
	again := p.settled
	p.settled = true
	delete(q.permits, p)
	told := make(chan error, 1)
	if !again {
		q.seeTo(func() { told <- p.tell(call) }) // beyond ctx and Close: the bucket's window hangs on it
	}
	q.mu.Unlock()
	if again {
		return nil
	}
	q.config.observe(gatewayqueue.Event{
		Kind: kind, ShardID: p.shard, Bucket: p.bucket, Elapsed: time.Since(p.granted),
	})
	select {
	case err := <-told:
		return err
	case <-ctx.Done():
		return ctxerr.Ended(ctx, q.health.last())
	}
}

// tell makes a call until Redis has answered, or until it cannot matter any
// more: the slot has expired by itself, and what was paid is forgotten.
func (p *permit) tell(call func(context.Context) error) error {
	q := p.queue
	ctx, cancel := context.WithTimeout(context.Background(), max(q.config.permitLease+q.config.window, paidTTL))
	defer cancel()
	for n := 1; ; n++ {
		err := call(ctx)
		q.heard(nil, err)
		if err == nil {
			return nil
		}
		if classify(err) == returned {
			return explain(err, q.store.keys)
		}
		if ctxerr.Sleep(ctx, retryIn(err, n)) != nil {
			q.config.log.Warn("could not report a permit: its slot expires by itself", "ticket", p.ticket, "error", err)
			return ctxerr.Ended(ctx, err)
		}
	}
}

func (p *permit) identified(ctx context.Context) error {
	q := p.queue
	r, err := q.store.identified(ctx, p)
	if err != nil {
		return err
	}
	if r.code == "late" {
		q.config.log.Warn("identified after the permit had ended: every bucket stays closed for a window", "ticket", p.ticket)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.lines[p.bucket]; l != nil {
		step := q.config.step(true)
		l.ask = time.Now().Add(step + time.Duration(l.ahead)*(step+handoff))
		l.poke()
	}
	return nil
}

func (p *permit) abandon(ctx context.Context) error {
	q := p.queue
	var err error
	if p.imported {
		err = q.store.end(ctx, p)
	} else { // for a caller that has gone, and may come back
		err = q.store.abandon(ctx, p.bucket, "", p.ticket)
	}
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.lines[p.bucket]; l != nil {
		l.askNow()
	}
	q.unitsCame()
	return nil
}

// renewPermits renews those permits of this pod that are due. It runs in the
// keeper.
func (q *RedisQueue) renewPermits() {
	now := time.Now()
	var permits []*permit
	q.mu.Lock()
	for p := range q.permits {
		if !now.Before(p.renewal) {
			p.renewal = now.Add(q.config.renewEvery())
			permits = append(permits, p)
		}
	}
	q.mu.Unlock()
	for _, p := range permits {
		renewed, err := p.renew(q.ctx)
		if err != nil {
			return // the others would fare no better; it is tried again when they are next due
		}
		if !renewed {
			q.expire(p)
		}
	}
}

// renew renews the permit, once. It returns false if the permit has ended: it
// was settled, its lease is over, or it is as old as a permit may be, on Redis's
// clock or by what has passed at this pod.
func (p *permit) renew(ctx context.Context) (renewed bool, err error) {
	q := p.queue
	sent, before := time.Now(), p.Deadline()
	good := min(q.config.permitGood(), p.bound.Sub(sent))
	if good <= 0 {
		return false, nil
	}
	r, err := q.store.renew(ctx, p, q.config.permitLease-q.config.permitGood()+good, sent.Before(before))
	q.heard(nil, err)
	if err != nil {
		return false, err
	}
	age := time.Duration(r.now-p.grantedAt) * time.Millisecond
	good = min(good, gatewayqueue.PermitBound-age)
	// An answer that comes too late counts no more: the bucket may have had another
	// holder before the renewal was executed, whose slot was lost since.
	tooLate := time.Since(before) > q.config.window
	if r.code == "gone" || good <= 0 || tooLate {
		return false, nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	p.deadline = sent.Add(good)
	return true, nil
}

// expire ends a permit that can be renewed no more.
func (q *RedisQueue) expire(p *permit) {
	q.mu.Lock()
	_, held := q.permits[p]
	delete(q.permits, p)
	if now := time.Now(); now.Before(p.deadline) {
		p.deadline = now
	}
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
