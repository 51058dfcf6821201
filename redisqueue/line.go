package redisqueue

import (
	"slices"
	"sort"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
)

// Bounds on the tickets in one claim and in one abandon, and so on the length of
// their scripts. A pod gives up many at once: those behind wait for it.
const (
	maxBatch   = 16
	leaveBatch = 128
)

// handoff is about what lies between the end of a window and the next grant: a
// timer, and the way to Redis and back. Who stands further back comes by as many
// of them later, or would mostly have to ask twice.
const handoff = 1500 * time.Microsecond

// maxSleep is how long those sleep who will be woken when there is something to do.
const maxSleep = time.Minute

// line is this pod's part of the line of one bucket. While it has waiters, or
// tickets to give up, one goroutine asks Redis for the first of them. All
// fields belong to the queue's mu.
type line struct {
	queue   *RedisQueue
	bucket  int
	wake    chan struct{}
	waiters []*waiter
	leaving []string // tickets to give up
	ghosts  []string // tickets that stand in line though nobody waits for them

	ask       time.Time // when to ask next
	again     bool      // it was told to ask since it last did: an answer on its way may be too old
	ahead     int       // tickets before the first, as last heard
	exhausted bool
	usedUp    int64 // when that was said last, on Redis's clock (ms)
	failures  int   // in a row
}

// lineOf is the line of a bucket, made and started if need be.
func (q *RedisQueue) lineOf(bucket int) *line {
	l := q.lines[bucket]
	if l == nil {
		l = &line{queue: q, bucket: bucket, wake: make(chan struct{}, 1)}
		q.lines[bucket] = l
		q.run(l.run)
	}
	return l
}

// add puts a waiter in its place, to be told to Redis at once.
func (l *line) add(w *waiter) {
	i := sort.Search(len(l.waiters), func(i int) bool { return w.compare(l.waiters[i]) < 0 })
	l.waiters = slices.Insert(l.waiters, i, w)
	w.line, w.told = l, false
	l.poke()
}

// poke makes the goroutine look again.
func (l *line) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// askNow makes the goroutine ask Redis.
func (l *line) askNow() {
	l.ask, l.again = time.Time{}, true
	l.poke()
}

// beaten hears the answer to a beat: newcomers have their places, and the line
// stands so. units says that the budget is not exhausted. It returns true if the
// line is shorter than expected.
func (l *line) beaten(asked beatLine, s standing, now int64, units bool) (surprise bool) {
	var first *waiter // if it has only now taken its place
	for _, w := range l.waiters {
		if !slices.ContainsFunc(asked.places, func(p place) bool { return p.ticket == w.ticket }) {
			continue
		}
		if w.told = true; w.arrival == 0 {
			w.arrival = now
		}
		if w.ticket == asked.first {
			first = w
		} else if w.placed != nil {
			w.place()
		}
	}
	slices.SortStableFunc(l.waiters, (*waiter).compare)
	if len(l.waiters) == 0 || l.waiters[0].ticket != asked.first {
		if first != nil && first.placed != nil {
			first.place() // another has come that stands before it
		}
		return false
	}
	return l.stands(s, first != nil, units)
}

// stands plans when to ask. Of a closed bucket that is certain; an open one
// somebody is about to have, or nobody, and only who asks finds out. fresh says
// that the pod's first has only now taken its place.
func (l *line) stands(s standing, fresh, units bool) (surprise bool) {
	first, step := l.waiters[0], l.queue.config.step(l.waiters[0].wantsPermit)
	wait := max(s.wait, l.queue.health.hold(), 0) + time.Duration(s.ahead)*(step+handoff)
	ask := time.Now().Add(wait)
	surprise = !fresh && !l.exhausted && l.ahead > 0 && s.wait >= 0 && s.ahead >= 0 && ask.Before(l.ask.Add(-2*step))
	switch {
	case l.exhausted, l.failures > 0, l.again && !fresh: // it waits for the reset, or asks anyway
	case s.wait < 0 && !fresh: // a permit is out: the next beat tells
	case s.ahead < 0, !units, s.wait == 0 && s.ahead == 0:
		if fresh || l.ahead > 0 || units && !first.claiming && ask.Before(l.ask) {
			l.askNow()
		}
	case fresh, s.wait > 0, ask.Before(l.ask):
		l.ahead, l.ask, l.again = s.ahead, ask, false
		if first.placed != nil {
			first.place()
		}
		if !l.queue.paused.told { // that may end at any moment
			l.refuseLate(s.wait)
		}
		l.poke()
	}
	return surprise
}

// drop takes a waiter out of the queue before its grant.
func (q *RedisQueue) drop(w *waiter) {
	if w.rest != nil {
		w.rest.Stop()
		delete(q.resting, w)
		return
	}
	if w.line == nil {
		q.lobby = remove(q.lobby, w)
		return
	}
	w.line.waiters = remove(w.line.waiters, w)
	if w.tried {
		w.line.leaving = append(w.line.leaving, w.ticket)
	}
	w.line.poke()
}

func remove(from []*waiter, w *waiter) []*waiter {
	if i := slices.Index(from, w); i >= 0 {
		return slices.Delete(from, i, i+1)
	}
	return from
}

// close refuses all waiters and returns the tickets that Redis may know.
func (l *line) close() []string {
	l.refuseAll(gatewayqueue.ErrClosed)
	tickets := l.leaving
	l.leaving = nil
	return tickets
}

// step is what the goroutine of a line does next: give up tickets, claim, or
// wait.
type step struct {
	over    bool
	leaving []string
	ghosts  []string
	claim   *claimCall
	first   *waiter
	others  []*waiter
	wait    time.Duration
}

func (l *line) run() {
	q := l.queue
	for {
		s := l.plan()
		switch {
		case s.over:
			return
		case s.leaving != nil:
			l.left(s.leaving, q.store.abandon(q.ctx, l.bucket, "", s.leaving...))
		case s.ghosts != nil:
			q.heard(nil, q.store.forget(q.ctx, l.bucket, s.ghosts...)) // those that stay are met again
		case s.claim != nil:
			sent := elapsed.Now()
			reply, err := q.store.claim(q.ctx, *s.claim)
			if err == nil {
				q.health.moved() // said before a waiter goes on
			}
			q.heard(l.hear(s, sent, reply, err), err)
			if reply.code != "" { // also of a grant that was not acknowledged
				q.met(reply.server, reply.hold)
				q.agree(reply)
			}
			if err == nil && reply.code == "granted" {
				q.unacknowledged(nil)
				q.probe(l.bucket, s.claim.ticket, s.claim.closes)
			}
		default:
			q.pause(s.wait, l.wake)
		}
	}
}

func (l *line) plan() step {
	q := l.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	switch {
	case q.closed:
		return step{over: true}
	case l.failures > 0 && now.Before(l.ask):
		return step{wait: l.ask.Sub(now)}
	case len(l.leaving) > 0:
		n := min(len(l.leaving), leaveBatch)
		leaving := slices.Clone(l.leaving[:n])
		l.leaving = slices.Delete(l.leaving, 0, n)
		return step{leaving: leaving}
	case len(l.ghosts) > 0:
		ghosts := l.ghosts
		l.ghosts = nil
		return step{ghosts: ghosts}
	case len(l.waiters) == 0:
		delete(q.lines, l.bucket)
		return step{over: true}
	}
	first := l.waiters[0]
	if !q.ready || q.arriving || first.claiming {
		return step{wait: maxSleep}
	}
	s := step{first: first}
	for _, w := range l.waiters[1:] {
		if len(s.others) == maxBatch {
			break
		}
		if !w.told {
			s.others = append(s.others, w)
		}
	}
	if first.told && len(s.others) == 0 && now.Before(l.ask) {
		return step{wait: l.ask.Sub(now)}
	}
	s.claim = &claimCall{
		place: place{first.ticket, first.arrival}, shard: first.shard, bucket: l.bucket, view: q.view,
		permit: first.wantsPermit, closes: q.config.window + q.marginFor(first), hold: q.health.hold(), lease: q.lease(), breaker: q.config.breaker,
		asks: q.asks(),
	}
	if first.wantsPermit {
		s.claim.closes = q.config.permitLease
	}
	if s.claim.lease < q.leased {
		q.look() // the keeper sleeps by the longer one
	}
	q.leased = s.claim.lease
	if len(l.waiters) > 1 {
		s.claim.next = l.waiters[1].ticket
	}
	for _, w := range s.others {
		s.claim.others = append(s.claim.others, place{w.ticket, w.arrival})
		w.tried = true
	}
	first.tried, first.claiming, l.again = true, true, false
	return s
}

// left hears what became of tickets that were to be given up.
func (l *line) left(tickets []string, err error) {
	q := l.queue
	q.heard(nil, err)
	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil {
		l.failures = 0
		return
	}
	if q.closed || classify(err) != returned { // else they lapse with the pod's lease
		l.leaving = append(tickets, l.leaving...) // Close ends this call, and then makes its own
	}
	l.failed(err)
}

func (l *line) failed(err error) {
	l.failures++
	l.ask = time.Now().Add(retryIn(err, l.failures))
}
