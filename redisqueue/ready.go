package redisqueue

// Whether grants are possible at all, asked cheaply: what a readiness probe wants
// to know each second.

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// ErrNeverGrants is returned by Ready, and said once by the log, where the limits
// in force allow no grant at all: not now, and not after the budget's reset.
var ErrNeverGrants = errors.New("redisqueue: under these limits nothing is ever granted")

// Ready returns nil where the queue can grant in principle: the server runs our
// scripts and takes writes, and its limits leave room for a grant. A closed
// bucket, a hold or a budget that is exhausted until its reset are no error.
//
// Otherwise the error says what stands in the way: [gatewayqueue.ErrClosed],
// [ErrNeverGrants], [ErrLimitMismatch], [ErrBadValue], the limit source's error
// where Redis has no limits yet and the source gave none when it was last
// asked, that no replicas acknowledge ([WithReplicas]), or Redis's own with
// advice, such as that the server is a replica. It
// sends one short call that reads one key, whatever the size of the fleet, and
// blocks until that is answered or ctx ends.
func (q *RedisQueue) Ready(ctx context.Context) error {
	q.mu.Lock()
	closed := q.closed
	q.mu.Unlock()
	if closed {
		return gatewayqueue.ErrClosed
	}
	if err := ctxerr.Ended(ctx); err != nil {
		return err
	}
	r, err := q.store.ready(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctxerr.Ended(ctx, err)
	case err != nil:
		return explain(err, q.store.keys)
	case r.epoch == "":
		return q.canSeed()
	}
	if mine := q.config.limit.MaxConcurrency; q.config.limitGiven && q.config.source == nil && mine != r.maxConcurrency {
		q.mu.Lock()
		met := q.view.maxConcurrency > 0 // then it has agreed once, and an Update has changed it
		q.mu.Unlock()
		if !met {
			return q.mismatch(r.maxConcurrency)
		}
	}
	if alone := q.known.alone.Load(); alone != nil && time.Since(alone.at) < aloneFor {
		return explain(alone, q.store.keys)
	}
	return q.config.grantsEver(r)
}

// aloneFor is for how long a grant that was not acknowledged says that the next
// would not be: those who wait ask again before, and if nobody waits somebody has
// to be let in to ask.
const aloneFor = 10 * time.Second

// canSeed says if the first who waits can fill an empty Redis.
func (q *RedisQueue) canSeed() error {
	if q.config.source != nil {
		return q.health.sourceError()
	}
	limit := q.config.limit
	return q.config.grantsEver(view{total: limit.Total, maxConcurrency: limit.MaxConcurrency})
}

// grantsEver says if there is a unit that may be granted, of a full budget.
func (c *config) grantsEver(v view) error {
	switch reserve := c.reserveOf(v); {
	case v.total <= 0:
		return fmt.Errorf("%w: the total is %d", ErrNeverGrants, v.total)
	case reserve >= v.total:
		return fmt.Errorf("%w: a reserve of %d leaves nothing of a total of %d", ErrNeverGrants, reserve, v.total)
	}
	return nil
}

func (q *RedisQueue) mismatch(inForce int) error {
	return fmt.Errorf("%w: WithLimit gave %d, the queue in Redis runs with %d; give every pod the same, use WithLimitSource, or call Update to change it for all",
		ErrLimitMismatch, q.config.limit.MaxConcurrency, inForce)
}

// ready asks for what Ready needs. The epoch is empty where Redis has no limits.
func (s *store) ready(ctx context.Context) (view, error) {
	r := s.run(ctx, readyScript, s.keys.of(readyScript.Keys, 0, ""))
	v := view{epoch: r.at("epoch").text()}
	total, buckets := r.at("total").text(), r.at("max_concurrency").text()
	if err := r.done(); err != nil || v.epoch == "" {
		return view{}, err
	}
	var err1, err2 error
	v.total, err1 = strconv.Atoi(total)
	v.maxConcurrency, err2 = strconv.Atoi(buckets)
	if err1 != nil || err2 != nil || v.total < 0 || v.maxConcurrency < 1 || v.maxConcurrency > maxConcurrencyBound {
		return view{}, fmt.Errorf("BADVALUE %s", s.keys.limits())
	}
	return v, nil
}
