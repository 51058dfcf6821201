package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// fleet is 42 shards: most only wait, every fifth dials under a permit, and one
// dial fails.
type fleet struct {
	t     *testing.T
	queue gatewayqueue.PermitQueue
}

func newFleet(t *testing.T, queue gatewayqueue.PermitQueue) *fleet { return &fleet{t, queue} }

func (f *fleet) start() {
	for shard := range 42 {
		go f.bringUp(f.t.Context(), shard)
	}
}

func (f *fleet) bringUp(ctx context.Context, shard int) {
	if shard%5 != 1 {
		_ = f.queue.Wait(ctx, shard) // It ends with the test.
		return
	}
	permit, err := f.queue.Acquire(ctx, shard)
	if err != nil {
		return
	}
	select {
	case <-time.After(1500 * time.Millisecond):
	case <-ctx.Done():
	}
	if shard == 6 {
		_ = permit.Abandon(ctx) // A queue in memory never fails.
	} else {
		_ = permit.Identified(ctx)
	}
}
