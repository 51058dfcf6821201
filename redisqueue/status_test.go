package redisqueue_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A shard whose pod was killed waits again in the pod's successor: it is one shard
// at once, and one waiter as soon as the lease has ended, though nobody has asked
// since for whom the dead places would have been removed.
func TestStatus_TheDeadDoNotWait(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		live := open(t, client, fresh(1)...)
		killed, hook := cutOff(t, server, fresh(1)...)
		require.NoError(t, client.Set(t.Context(), at+"slot:0", "by hand", time.Hour).Err())
		start := time.Now()
		for shard := range 20 {
			_ = ask(t.Context(), killed, shard)
		}
		time.Sleep(2 * time.Second)
		hook.set(errKilled)
		for shard := range 20 {
			_ = ask(t.Context(), live, shard)
		}
		time.Sleep(time.Second)
		s, err := live.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 40, s.Buckets[0].Waiting, "the lease has not ended")
		assert.Len(t, s.Buckets[0].Shards, 20)

		time.Sleep(3 * time.Second)
		s, err = live.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 20, s.Waiting())
		assert.Len(t, s.Buckets[0].Shards, 20)
		require.Len(t, s.Buckets[0].Line, 10, "those that wait are shown, and not the dead before them")
		require.Len(t, s.Pods, 2)
		for _, pod := range s.Pods {
			if pod.Lease.Before(s.Time) {
				assert.Zero(t, pod.Waiting)
				assert.Zero(t, pod.Since)
				continue
			}
			assert.Equal(t, 20, pod.Waiting)
			assert.WithinDuration(t, start.Add(2*time.Second), pod.Since, 100*time.Millisecond)
			assert.Contains(t, s.Buckets[0].Line[0].Ticket, "@"+pod.Pod+"#")
		}
	})
}
