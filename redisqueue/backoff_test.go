package redisqueue_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

func TestAShardThatCrashesOverAndOverRestsEverLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := virtualRedis(t)
		queue, err := redisqueue.New(virtualClient(t, server), redisqueue.WithFreshStart(), redisqueue.WithBackoff(3))
		require.NoError(t, err)
		defer queue.Close()
		var took []time.Duration
		for range 6 {
			start := time.Now()
			require.NoError(t, queue.Wait(t.Context(), 7))
			took = append(took, time.Since(start).Round(time.Second))
		}
		assert.Equal(t, []time.Duration{0, 5 * time.Second, 5 * time.Second, 5 * time.Second, 11 * time.Second, 21 * time.Second}, took)

		start := time.Now()
		require.NoError(t, queue.Wait(t.Context(), 8), "another shard")
		assert.Less(t, time.Since(start), 6*time.Second)

		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		start = time.Now()
		err = queue.Wait(ctx, 7)
		var known *gatewayqueue.DeadlineError
		require.ErrorAs(t, err, &known, "the rest is known to be longer")
		assert.Equal(t, 42*time.Second-5250*time.Millisecond, known.Wait, "its backoff went on while the other one waited")
		assert.Less(t, time.Since(start), time.Second)

		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		require.ErrorIs(t, queue.Wait(ctx, 7), context.Canceled, "a caller that backs off can leave")
		done := make(chan error)
		go func() { done <- queue.Wait(t.Context(), 7) }()
		time.Sleep(time.Second)
		require.NoError(t, queue.Close())
		require.ErrorIs(t, <-done, gatewayqueue.ErrClosed)
	})
}

// The log says once when half, a fifth and a twentieth of the budget is left, and
// again in the next period.
func TestTheLogWarnsOfABudgetThatRunsOut(t *testing.T) {
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		log := newLogbook()
		limit := gatewayqueue.SessionStartLimit{Total: 20, Remaining: 12, ResetAfter: time.Hour, MaxConcurrency: 1}
		queue := open(t, client, redisqueue.WithLimit(limit), redisqueue.WithFreshStart(), redisqueue.WithReserve(0), redisqueue.WithBackoff(0), log.option())
		for shard := range 12 {
			require.NoError(t, queue.Wait(t.Context(), shard))
		}
		for _, line := range []string{
			"WARN at most 50 % of the budget is left remaining=10 total=20",
			"WARN at most 20 % of the budget is left remaining=4 total=20",
			"WARN at most 5 % of the budget is left remaining=1 total=20",
		} {
			require.Equal(t, 1, log.said(line), log.all())
		}
		for shard := range 11 { // of the next period
			require.NoError(t, queue.Wait(t.Context(), shard))
		}
		require.Equal(t, 2, log.said("at most 50 % of the budget"), log.all())
		require.Equal(t, 4, log.said("of the budget is left"), log.all())
	})
}
