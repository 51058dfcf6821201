package redisqueue_test

import (
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// However slow replies are beside the margin, two grants are a window apart but
// for 5 ms, and a pod that has learnt how slow they are claims a grant once.
func TestWait_AWindowApartHoweverSlowRepliesAre(t *testing.T) {
	for name, row := range map[string]struct {
		margin, late time.Duration
		claims       int64 // for each grant, once the pod knows how slow replies are: for a place, for the slot, and again if it was late
	}{
		"quick, no margin":        {late: time.Millisecond, claims: 2},
		"some way off, no margin": {late: 4 * time.Millisecond, claims: 2},
		"far, no margin":          {late: 40 * time.Millisecond, claims: 2},
		"far":                     {late: 40 * time.Millisecond, margin: 20 * time.Millisecond, claims: 2},
		"far, the default margin": {late: 200 * time.Millisecond, margin: 250 * time.Millisecond, claims: 2},
		"very far":                {late: 600 * time.Millisecond, margin: 250 * time.Millisecond, claims: 3},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				replies, claims := new(slowReplies), &count{hash: redis.NewScript(lua.Claim.Source).Hash()}
				far := virtualClient(t, server)
				far.AddHook(perCommand{claims})
				far.AddHook(perCommand{replies})
				q, other := open(t, far, fresh(1, redisqueue.WithMargin(row.margin))...), open(t, client, fresh(1, redisqueue.WithMargin(row.margin))...)
				require.NoError(t, other.Wait(t.Context(), 9))
				last := time.Now()
				replies.by.Store(int64(row.late))
				for shard := range 6 {
					claims.n.Store(0)
					for _, pod := range []gatewayqueue.Queue{q, other} {
						require.NoError(t, pod.Wait(t.Context(), shard))
						require.GreaterOrEqual(t, time.Since(last), gatewayqueue.IdentifyDelay-5*time.Millisecond)
						last = time.Now()
					}
					if shard > 0 {
						require.LessOrEqual(t, claims.n.Load(), row.claims)
					}
				}
				replies.by.Store(0)
			})
		})
	}
}
