package disgoqueue_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/disgoqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// identifyRateLimiter is disgo's gateway.IdentifyRateLimiter, as of v0.19.6.
type identifyRateLimiter interface {
	Close(ctx context.Context)
	Wait(ctx context.Context, shardID int) error
	Unlock(shardID int)
}

var _ identifyRateLimiter = (*disgoqueue.Limiter)(nil)

const closes = gatewayqueue.IdentifyDelay + gatewayqueue.IdentifiedMargin

func newQueue(t *testing.T) *memqueue.Queue {
	t.Helper()
	queue, err := memqueue.New(gatewayqueue.DefaultLimit())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, queue.Close()) })
	return queue
}

func remaining(t *testing.T, queue *memqueue.Queue) int {
	t.Helper()
	status, err := queue.Status(t.Context())
	require.NoError(t, err)
	return status.Budget.Remaining
}

func TestABucketIsHeldUntilUnlockAndThenForAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := disgoqueue.New(newQueue(t))
		require.NoError(t, limiter.Wait(t.Context(), 0))
		start := time.Now()
		time.AfterFunc(20*time.Second, func() { limiter.Unlock(0) }) // a slow READY
		require.NoError(t, limiter.Wait(t.Context(), 1))
		assert.Equal(t, 20*time.Second+closes, time.Since(start))
		limiter.Unlock(1)
		limiter.Close(t.Context())
	})
}

func TestUnlockIsHarmlessTwiceAndWithoutWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := newQueue(t)
		limiter := disgoqueue.New(queue)
		limiter.Unlock(0)
		require.NoError(t, limiter.Wait(t.Context(), 0))
		limiter.Unlock(1)
		limiter.Unlock(0)
		limiter.Unlock(0)
		limiter.Close(t.Context())
		limiter.Unlock(0)
		assert.Equal(t, 999, remaining(t, queue))
	})
}

// Two gateways of one shard, as in a deploy without a gap: each has a permit of
// its own.
func TestAShardCanWaitTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := disgoqueue.New(newQueue(t))
		require.NoError(t, limiter.Wait(t.Context(), 0))
		start := time.Now()
		time.AfterFunc(time.Second, func() { limiter.Unlock(0) })
		require.NoError(t, limiter.Wait(t.Context(), 0))
		assert.Equal(t, time.Second+closes, time.Since(start))
		limiter.Unlock(0)
		limiter.Close(t.Context())
	})
}

func TestCloseEndsAllWaitsAndRefusesNewOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := newQueue(t)
		limiter := disgoqueue.New(queue)
		require.NoError(t, limiter.Wait(t.Context(), 0))
		errs := make(chan error, 3)
		for shard := range 3 {
			go func() { errs <- limiter.Wait(context.Background(), shard) }() // disgo's reconnects have no deadline
		}
		synctest.Wait()
		limiter.Close(t.Context())
		for range 3 {
			assert.ErrorIs(t, <-errs, gatewayqueue.ErrClosed)
		}
		assert.ErrorIs(t, limiter.Wait(t.Context(), 5), gatewayqueue.ErrClosed)
		limiter.Unlock(0) // what was held is reported all the same
		limiter.Close(t.Context())
		assert.Equal(t, 999, remaining(t, queue))
	})
}

func TestCloseShardEndsTheWaitsOfThatShardOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := disgoqueue.New(newQueue(t))
		require.NoError(t, limiter.Wait(t.Context(), 0))
		errs := make(map[int]chan error)
		for shard := 1; shard <= 2; shard++ {
			c := make(chan error, 1)
			errs[shard] = c
			go func() { c <- limiter.Wait(context.Background(), shard) }()
		}
		synctest.Wait()
		limiter.CloseShard(1)
		assert.ErrorIs(t, <-errs[1], gatewayqueue.ErrClosed)
		assert.ErrorIs(t, limiter.Wait(t.Context(), 1), gatewayqueue.ErrClosed, "also when disgo tries again")
		limiter.Unlock(0)
		assert.NoError(t, <-errs[2])
		limiter.Unlock(2)
		limiter.CloseShard(7) // one that never came
		assert.ErrorIs(t, limiter.Wait(t.Context(), 7), gatewayqueue.ErrClosed)

		limiter.OpenShard(1)
		limiter.OpenShard(7)
		limiter.OpenShard(8)
		assert.NoError(t, limiter.Wait(t.Context(), 1))
		limiter.Unlock(1)
		limiter.Close(t.Context())
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue := newQueue(t)
		limiter := disgoqueue.New(queue)
		require.NoError(t, limiter.Wait(t.Context(), 0))
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("the bot is told to stop")
		time.AfterFunc(time.Second, func() { cancel(why) })
		assert.ErrorIs(t, limiter.Wait(ctx, 1), why)
		assert.ErrorIs(t, limiter.Wait(t.Context(), -1), gatewayqueue.ErrInvalid)
		limiter.Unlock(0)
		limiter.Close(t.Context())
		assert.Equal(t, 999, remaining(t, queue), "waits that ended cost nothing")
	})
}

// Close waits for the queue to hear of every permit, but not beyond its context.
func TestCloseIsBoundedByItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := disgoqueue.New(deaf{newQueue(t)})
		require.NoError(t, limiter.Wait(t.Context(), 0))
		limiter.Unlock(0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		limiter.Close(ctx)
		assert.Equal(t, time.Second, time.Since(start))
		limiter.Close(t.Context()) // its report is bounded, too
		assert.Equal(t, 5*time.Second, time.Since(start))
	})
}

// deaf is a queue whose permits cannot be reported.
type deaf struct{ gatewayqueue.PermitQueue }

func (d deaf) Acquire(ctx context.Context, shardID int) (gatewayqueue.Permit, error) {
	permit, err := d.PermitQueue.Acquire(ctx, shardID)
	return deafPermit{permit}, err
}

type deafPermit struct{ gatewayqueue.Permit }

func (deafPermit) Identified(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
