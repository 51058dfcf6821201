package redisqueue

// Whether grants are possible at all, asked cheaply: what a readiness probe wants
// to know each second.

import (
	"context"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// Ready returns nil where the queue can grant in principle: the server runs our
// scripts and takes writes, and its limits leave room for a grant. A closed
// bucket, a hold or a budget that is exhausted until its reset are no error.
//
// Otherwise the error says what stands in the way: [gatewayqueue.ErrClosed],
// [ErrNeverGrants], [ErrLimitMismatch], [ErrBadValue], the limit source's error
// where Redis has no limits yet and the source gave none when it was last
// asked, that no replicas acknowledge ([WithReplicas]), or Redis's own with
// advice, such as that the server is a replica, or that a key holds another type. It
// sends one short call, whatever the size of the fleet, and looks at what all buckets
// share: what is wrong with one of them is left to Status. It blocks until that is answered or ctx ends.
func (q *RedisQueue) Ready(ctx context.Context) error {
	known := q.shell.facts()
	if known.Closed {
		return gatewayqueue.ErrClosed
	}
	if err := ctxerr.Ended(ctx); err != nil {
		return err
	}
	r, err := call(ctx, q, wire.Ready{})
	switch mine := q.config.Limit; {
	case err != nil && ctx.Err() != nil:
		return ctxerr.Ended(ctx, err)
	case err != nil:
		return wire.Explain(err, q.config.Keys)
	case r.Epoch == "" && q.config.source != nil: // can the first waiter fill an empty Redis?
		return known.SourceError
	case r.Epoch == "":
		return q.config.Reserve.GrantsEver(wire.View{Total: mine.Total, MaxConcurrency: mine.MaxConcurrency})
	case q.config.LimitGiven && q.config.source == nil && mine.MaxConcurrency != r.MaxConcurrency && known.MaxConcurrency == 0:
		return q.config.Mismatch(r.MaxConcurrency) // once it has agreed an Update may have changed it
	case known.Alone != nil && time.Since(known.Alone.At) < pod.AloneFor:
		return wire.Explain(known.Alone, q.config.Keys)
	}
	return q.config.Reserve.GrantsEver(r)
}
