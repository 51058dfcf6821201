package e2e_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// fleet is 42 shards: most only wait, every fifth dials under a permit, and one
// dial fails. A crowd of 96 more waits behind them until they are told to leave, so that
// there are lines for as long as a slow machine looks at them.
type fleet struct {
	t     *testing.T
	queue gatewayqueue.PermitQueue
	crowd context.Context
	thin  context.CancelFunc
}

func newFleet(t *testing.T, queue gatewayqueue.PermitQueue) *fleet {
	crowd, thin := context.WithCancel(t.Context())
	return &fleet{t, queue, crowd, thin}
}

func (f *fleet) start() {
	for shard := range 42 {
		go f.bringUp(f.t.Context(), shard)
	}
	for shard := 42; shard < 138; shard++ {
		go func() { _ = f.queue.Wait(f.crowd, shard) }() // It ends with the crowd.
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

// aDay is a history as a deploy 20 hours ago leaves it, and single restarts until now:
// no test lasts a day.
func aDay(context.Context) ([]gatewayqueue.Minute, error) {
	var day []gatewayqueue.Minute
	left, began := 1000, time.Now().Add(-24*time.Hour).Truncate(time.Minute)
	granted := func(minute, n int, longest time.Duration) {
		m := gatewayqueue.Minute{Start: began.Add(time.Duration(minute) * time.Minute), Granted: n, Total: 1000, Waits: make(gatewayqueue.Waits)}
		for i := range n {
			m.Waits.Add(longest * time.Duration(i+1) / time.Duration(n))
		}
		left -= n
		m.Remaining = left
		day = append(day, m)
	}
	for minute := range 30 { // 360 shards, one after the other
		granted(240+minute, 12, time.Duration(minute+1)*time.Minute)
	}
	for minute := 300; minute < 1435; minute += 47 {
		granted(minute, 1+minute%3, time.Duration(20+minute%4000)*time.Millisecond)
	}
	return day, nil
}
