package redisqueue_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Redis's keys live in whole milliseconds; windows do not.
func TestABucketOpensWhenItsWindowEndsAndNoLater(t *testing.T) {
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		const window = time.Second
		q := open(t, client, fresh(1, redisqueue.WithWindow(window), redisqueue.WithMargin(0), redisqueue.WithPermitMargin(0))...)
		time.Sleep(300 * time.Microsecond)
		require.NoError(t, q.Wait(t.Context(), 0))
		last := time.Now()
		for shard := 1; shard < 5; shard++ {
			time.Sleep(200 * time.Microsecond)
			if shard%2 == 0 {
				require.NoError(t, q.Wait(t.Context(), shard))
			} else {
				permit, err := q.Acquire(t.Context(), shard)
				require.NoError(t, err)
				require.NoError(t, permit.Identified(t.Context()))
			}
			require.Equal(t, window, time.Since(last), "shard %d", shard)
			last = time.Now()
		}
	})
}
