package redisqueue

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
)

// permit is a granted ticket whose shard has not identified yet.
type permit struct {
	queue          *RedisQueue
	ticket         string
	shard          int
	bucket         int
	maxConcurrency int            // at the grant
	granted        time.Time      // for events, where it was imported
	grantedAt      int64          // the same, in ms on Redis's clock
	made           elapsed.Moment // at this pod: it ends a PermitBound later, whoever renews it

	// Under the queue's mu.
	life     lifetime
	imported bool          // from a record: its holder is somewhere else
	within   time.Duration // until when after the report its IDENTIFY may leave
	renewal  time.Time     // when it is due
	renewing bool          // a renewal is under way
	settled  bool

	announced int      // how often it was said that IDENTIFY is about to leave
	leaves    lifetime // until when it may, so that nobody need hear of it again
}

// newPermit makes the permit of a granted waiter. The caller holds mu.
func (q *RedisQueue) newPermit(w *waiter) *permit {
	p := &permit{
		queue: q, ticket: w.ticket, shard: w.shard, bucket: w.bucket, maxConcurrency: w.maxConcurrency,
		granted: w.sent.Time(), grantedAt: w.granted, made: w.sent, life: lifetime{w.sent, q.config.permitGood()},
	}
	if !q.closed {
		p.renewal = w.sent.Time().Add(q.config.renewEvery())
		q.permits[p] = struct{}{}
		q.keep()
		q.startRenewer()
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
	return p.life.deadline()
}

func (p *permit) Identified(ctx context.Context) error {
	p.queue.mu.Lock()
	inTime := p.leaves.left() >= 0
	p.queue.mu.Unlock()
	if inTime { // the window that began with the announcement is its own
		return p.settle(ctx, gatewayqueue.EventIdentified, func(context.Context) error { return nil })
	}
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
		if errors.Is(err, gatewayqueue.ErrPermitSettled) {
			return err
		}
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
	p.opens(q.config.step(true) + p.within)
	return nil
}

// opens tells the permit's line when its bucket opens. The caller holds mu.
func (p *permit) opens(in time.Duration) {
	q := p.queue
	if l := q.lines[p.bucket]; l != nil {
		l.ask = time.Now().Add(in + time.Duration(l.ahead)*(q.config.step(true)+handoff))
		if q.view.maxConcurrency > 0 && q.view.remaining <= q.config.reserveOf(q.view) {
			l.askNow() // it may have been the last unit: those who cannot wait for the reset are told
		}
		l.poke()
	}
}

func (p *permit) abandon(ctx context.Context) error {
	q := p.queue
	var err error
	if p.imported {
		if how, err := q.store.reported(ctx, p); err != nil || how == "identified" {
			return cmp.Or(err, gatewayqueue.ErrPermitSettled)
		}
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
	q.unitsCame(0)
	return nil
}
