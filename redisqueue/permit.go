package redisqueue

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// permitHandle is a permit as its holder has it.
type permitHandle struct {
	queue *RedisQueue
	of    *pod.Permit
	life  atomic.Pointer[pod.Lifetime] // for how long it is good, as last heard
}

// keepLife notes for how long a permit is good.
func (s *shell) keepLife(c pod.Good) {
	if c.Permit.Owner == nil {
		c.Permit.Owner = &permitHandle{queue: s.queue, of: c.Permit}
	}
	c.Permit.Owner.(*permitHandle).life.Store(&c.Life)
}

func handleOf(p *pod.Permit) *permitHandle {
	if p == nil {
		return nil
	}
	return p.Owner.(*permitHandle)
}

func (p *permitHandle) Deadline() time.Time { return p.life.Load().Deadline(elapsed.Now()) }

func (p *permitHandle) Identified(ctx context.Context) error { return p.IdentifiedWithin(ctx, 0) }

// IdentifiedWithin is Identified for an IDENTIFY that leaves up to d from now,
// which closes the bucket for as much longer.
func (p *permitHandle) IdentifiedWithin(ctx context.Context, d time.Duration) error {
	return p.queue.shell.run(ctx, func(op *pod.Op) pod.Event {
		return pod.Settle{Op: op, Permit: p.of, Identified: true, Within: max(d, 0)}
	}, nil)
}

func (p *permitHandle) Abandon(ctx context.Context) error {
	return p.queue.shell.run(ctx, func(op *pod.Op) pod.Event { return pod.Settle{Op: op, Permit: p.of} }, nil)
}

// Announce says that IDENTIFY is about to leave, as [gatewayqueue.Announcer]
// does. It sends one call, and a second one where the answer to that took so long
// that IDENTIFY would leave too late for its window, which then begins later by
// as much. It blocks for 1 s at most. While Redis is known to be away nothing is
// sent, and the permit is good up to its Deadline.
func (p *permitHandle) Announce(ctx context.Context) error {
	if err := ctxerr.Ended(ctx); err != nil {
		return err
	}
	for {
		var op *pod.Op
		err := p.queue.shell.run(ctx, func(o *pod.Op) pod.Event {
			op = o
			return pod.Announce{Op: o, Permit: p.of}
		}, nil)
		if err != nil || op.Leaves == nil || op.Leaves.Left(elapsed.Now()) >= 0 {
			return err
		} // else this goroutine was woken too late: its window has to begin later
	}
}

// Renew renews an imported permit, once. See [RedisQueue.Import].
func (p *permitHandle) Renew(ctx context.Context) error {
	err := p.queue.shell.run(ctx, func(op *pod.Op) pod.Event { return pod.Renew{Op: op, Permit: p.of} }, nil)
	if err != gatewayqueue.ErrPermitExpired { //nolint:errorlint // As the pod says it.
		return err
	}
	r, err := call(ctx, p.queue, wire.Remember{Key: p.queue.config.Keys.Paid(p.of.Ticket)})
	if err == nil && (r.Value == "left" || r.Value == "identified") {
		return gatewayqueue.ErrPermitSettled
	}
	return gatewayqueue.ErrPermitExpired
}

// Bucket is the bucket that the permit closes.
func (p *permitHandle) Bucket() int { return p.of.Bucket }

// Held says for how much longer the permit keeps its bucket closed, whichever pod
// renews it; 0 if it was settled or has ended. It reads one key, and does not try again.
func (p *permitHandle) Held(ctx context.Context) (time.Duration, error) {
	r, err := call(ctx, p.queue, wire.Remember{Key: p.queue.config.Keys.Slot(p.of.Bucket)})
	if err != nil || r.Value != p.of.Ticket+wire.PermitSuffix {
		return 0, p.queue.explained(err)
	}
	return max(r.Left, time.Millisecond), nil
}
