package discordgoqueue_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/discordgoqueue"
	"github.com/gatewayqueue/gatewayqueue/disgoqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed/elapsedtest"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn/conntest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// A laptop sleeps for 12 s between the grant and its IDENTIFY, with the
// connection up: another pod has had the bucket meanwhile. A guest that is paused
// has no clock that shows it; Redis knows.
func TestAnIdentify_DoesNotLeaveAfterASuspension(t *testing.T) {
	for name, row := range map[string]struct {
		library   string
		suspended time.Duration // by the clocks of the machine
	}{
		"discordgo":                     {"discordgo", 12 * time.Second},
		"disgo":                         {"disgo", 12 * time.Second},
		"discordgo, in a guest's pause": {library: "discordgo"},
		"disgo, in a guest's pause":     {library: "disgo"},
	} {
		t.Run(name, func(t *testing.T) {
			server := miniredis.RunT(t)
			now := time.Now()
			server.SetTime(now)
			pod := func(name string) *redisqueue.RedisQueue {
				client := redis.NewClient(&redis.Options{Addr: server.Addr()})
				queue, err := redisqueue.New(client, redisqueue.WithPod(name), redisqueue.WithFreshStart())
				require.NoError(t, err)
				t.Cleanup(func() { _, _ = queue.Close(), client.Close() })
				return queue
			}
			laptop, other := pod("laptop"), pod("other")
			var dial = discordgoqueue.New(laptop, 0).DialContext
			if row.library == "disgo" {
				limiter := disgoqueue.New(laptop)
				require.NoError(t, limiter.Wait(t.Context(), 0))
				dial = limiter.DialContext
			}
			ours, theirs := conntest.Pair(t, dial)

			elapsedtest.Suspend(t, row.suspended)
			server.SetTime(now.Add(12 * time.Second))
			server.FastForward(12 * time.Second)
			require.NoError(t, other.Wait(t.Context(), 1))

			_, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
			assert.Error(t, err)
			assert.False(t, theirs.SeesIdentify())
		})
	}
}
