package gatewayqueue

import (
	"context"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// settleTimeout bounds how long Identify waits for the queue to hear what
// became of a permit. The queue goes on trying after it.
const settleTimeout = 5 * time.Second

// confirmer is a permit that can ask its queue whether it still stands. Where
// nothing is in doubt Confirm asks nothing.
type confirmer interface {
	Confirm(ctx context.Context) error
}

// Identify brings up one shard under a permit: it acquires one for shardID,
// calls dial, and then identify.
//
// If dial fails, nothing was sent and the permit is abandoned: slot and unit go
// back at once. Once identify is called the permit counts as identified,
// whatever identify returns, because an IDENTIFY that failed half-way may have
// reached Discord. A dial that outlives the permit's Deadline is answered with
// [ErrPermitExpired], and identify is not called. So is one in which the machine
// was suspended for too long, as far as any of its clocks knows.
//
// Identify returns the error of the queue, of dial or of identify. An error of
// the queue after identify has run is not one: the bucket then stays closed
// until the permit's lease has ended.
func Identify(ctx context.Context, q PermitQueue, shardID int, dial, identify func(context.Context) error) error {
	permit, err := q.Acquire(ctx, shardID)
	if err != nil {
		return err
	}
	settle := permit.Abandon
	defer func() { // also when dial or identify panics
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
		defer cancel()
		_ = settle(ctx) //nolint:errcheck // The queue keeps trying, and is closed meanwhile.
	}()
	if err := dial(ctx); err != nil {
		return err
	}
	if err := ctxerr.Ended(ctx); err != nil {
		return err
	}
	if permit, ok := permit.(confirmer); ok {
		if err := permit.Confirm(ctx); err != nil {
			return err
		}
	}
	if !time.Now().Before(permit.Deadline()) {
		return ErrPermitExpired
	}
	settle = permit.Identified
	return identify(ctx)
}
