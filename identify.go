package gatewayqueue

import (
	"context"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// settleTimeout bounds how long Identify waits for the queue to hear what
// became of a permit. The queue goes on trying after it.
const settleTimeout = 5 * time.Second

// Identify brings up one shard under a permit: it acquires one for shardID,
// calls dial, and then identify.
//
// If dial fails, nothing was sent and the permit is abandoned: slot and unit go
// back at once. Once identify is called the permit counts as identified,
// whatever identify returns, because an IDENTIFY that failed half-way may have
// reached Discord. A dial that outlives the permit's Deadline is answered with
// [ErrPermitExpired], and identify is not called. So is one in which the machine
// was suspended or paused for too long: where the permit is an [Announcer], its
// queue is asked right before identify, for 1 s at most; else by what any of this
// machine's clocks knows.
//
// The window starts right before identify; where that takes longer than half the
// margin of permits (25 ms by default) it starts again when it returns, which
// takes a command more. So identify should return once IDENTIFY was written.
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
	if err := Announce(ctx, permit); err != nil {
		return err
	}
	if !time.Now().Before(permit.Deadline()) {
		return ErrPermitExpired
	}
	settle = permit.Identified
	return identify(ctx)
}
