package redisqueue

import (
	"cmp"
	"context"
	"fmt"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// Status returns one consistent snapshot of the whole queue, of all pods. It
// reads only, and works without any Wait before. Where Redis has no queue of
// this application, Budget.Unknown is set and there are no buckets. What each
// shard has spent is listed while 1,024 shards or fewer have spent anything, and which
// shards stand in a line while it has its share of 1,024 places, or fewer. It blocks
// for one call, two the first time, and does not try again.
func (q *RedisQueue) Status(ctx context.Context) (gatewayqueue.Status, error) {
	known := q.shell.facts()
	if known.Closed {
		return gatewayqueue.Status{}, gatewayqueue.ErrClosed
	}
	buckets := known.MaxConcurrency
	for range 3 { // the limits may change between two calls
		status, err := call(ctx, q, wire.Status{App: q.config.App, Buckets: buckets})
		if err != nil {
			return status, q.explained(err)
		}
		if status.Budget.MaxConcurrency == buckets {
			q.fill(&status)
			return status, nil
		}
		buckets = status.Budget.MaxConcurrency
	}
	return gatewayqueue.Status{}, fmt.Errorf("%w: limits that change with every look", ErrUnexpectedReply)
}

// fill adds what this pod knows: its margin, and what it keeps of the budget.
func (q *RedisQueue) fill(status *gatewayqueue.Status) {
	status.Step = cmp.Or(status.Step, q.config.Window) + q.config.Margin
	if status.Epoch == "" || status.Budget.MaxConcurrency == 0 { // there are no limits, or none that can be used
		return
	}
	in := wire.View{Total: status.Budget.Total, MaxConcurrency: status.Budget.MaxConcurrency}
	status.Budget.Reserve = q.config.Reserve.Of(in)
	if never := q.config.Reserve.GrantsEver(in); never != nil {
		status.Budget.Never = never.Error()
	}
}
