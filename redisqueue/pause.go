package redisqueue

// Pauses: what operators order.

import (
	"context"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

var _ gatewayqueue.Pauser = (*RedisQueue)(nil)

// Pause implements [gatewayqueue.Pauser], for all pods: no claim that Redis executes
// later is granted. It sends one call, and does not try again. Pods of a version that
// knows no pauses are not held up by one.
func (q *RedisQueue) Pause(ctx context.Context, order gatewayqueue.Order) error {
	if err := order.Validate(); err != nil {
		return err
	}
	return q.order(ctx, wire.Order{What: gatewayqueue.OrderPause, Order: order})
}

// Resume implements [gatewayqueue.Pauser]. It sends one call, and does not try again.
// Pods hear of it within half a pod's lease, 1.5 s by default.
func (q *RedisQueue) Resume(ctx context.Context, order gatewayqueue.Order) error {
	if err := order.ValidateResume(); err != nil {
		return err
	}
	return q.order(ctx, wire.Order{What: gatewayqueue.OrderResume, Order: order})
}

func (q *RedisQueue) order(ctx context.Context, o wire.Order) error {
	if q.shell.facts().Closed {
		return gatewayqueue.ErrClosed
	}
	code, err := call(ctx, q, o)
	if err != nil {
		return q.explained(err)
	}
	if code != "same" {
		q.config.log.Info("an operator has given an order", "order", o.What, "who", o.Who, "why", o.Why, "for", o.For)
	}
	q.shell.post(pod.Look{}) // this pod need not wait to hear of it
	return nil
}

// Audit implements [gatewayqueue.Pauser]: the orders of all pods. It sends one call,
// and does not try again.
func (q *RedisQueue) Audit(ctx context.Context) ([]gatewayqueue.AuditEntry, error) {
	if q.shell.facts().Closed {
		return nil, gatewayqueue.ErrClosed
	}
	audit, err := call(ctx, q, wire.Audit{})
	return audit, q.explained(err)
}
