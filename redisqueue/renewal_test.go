package redisqueue_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// The keeper sleeps for half of the pod's lease while there are only waiters. A
// permit that is granted meanwhile needs it sooner.
func TestAPermitIsRenewedInTimeThoughThePodsLeaseIsLong(t *testing.T) {
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		q := open(t, client, append(fresh(1), redisqueue.WithPodLease(time.Minute))...)
		require.NoError(t, q.Wait(t.Context(), 0))
		permit, err := q.Acquire(t.Context(), 1) // a window later
		require.NoError(t, err)
		for held := time.Duration(0); held < 30*time.Second; held += 100 * time.Millisecond {
			require.True(t, time.Now().Before(permit.Deadline()), "after %v", held)
			time.Sleep(100 * time.Millisecond)
		}
		require.NoError(t, permit.Abandon(t.Context()))
	})
}
