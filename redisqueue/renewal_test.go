package redisqueue_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
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

// slow is a hook whose calls reach Redis late while it is set.
type slow struct {
	away
	by atomic.Int64
}

func (s *slow) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		time.Sleep(time.Duration(s.by.Load()))
		return next(ctx, cmd)
	}
}

// A renewal that is under way for longer than a window takes a slot again that
// was lost, although another may have had the bucket meanwhile.
func TestARenewalThatComesTooLateRevivesNoPermit(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		hook, late := new(slow), virtualClient(t, server)
		late.AddHook(perCommand{hook})
		q := open(t, late, append(fresh(1), redisqueue.WithWindow(time.Second))...)
		permit, err := q.Acquire(t.Context(), 0)
		require.NoError(t, err)
		hook.by.Store(int64(3 * time.Second))
		time.Sleep(100 * time.Millisecond)
		require.NoError(t, client.Del(t.Context(), at+"slot:0", at+"opens").Err())
		time.Sleep(time.Until(permit.Deadline()))
		hook.by.Store(0) // the one that is under way is late, those after it are not
		for range 100 {
			require.False(t, time.Now().Before(permit.Deadline()))
			time.Sleep(100 * time.Millisecond)
		}
		require.NoError(t, permit.Abandon(t.Context()))
	})
}

// Until IDENTIFY is reported its bucket's window has not begun.
func TestAReportDoesNotWaitForClaims(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, _ *redis.Client) {
		q := open(t, slowAnswers{virtualClient(t, server), claimHash}, fresh(3)...)
		permit, err := q.Acquire(t.Context(), 0)
		require.NoError(t, err)
		_, _ = ask(t.Context(), q, 1), ask(t.Context(), q, 2)
		time.Sleep(time.Millisecond)
		start := time.Now()
		require.NoError(t, permit.Identified(t.Context()))
		require.Zero(t, time.Since(start))
	})
}

// However many permits a pod has, and however far off Redis is, they stay good
// while it lives, and their pod does.
func TestPermitsOfAPodThatLives_StayGood(t *testing.T) {
	unraced(t)
	for _, permits := range []int{1, 16, 144, 1000} {
		for _, roundTrip := range []time.Duration{time.Millisecond, 40 * time.Millisecond, 200 * time.Millisecond} {
			t.Run(fmt.Sprint(permits, " permits, ", roundTrip), func(t *testing.T) {
				within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
					hook, far := new(slow), virtualClient(t, server)
					far.AddHook(perCommand{hook})
					limit := gatewayqueue.SessionStartLimit{Total: 100_000, Remaining: 100_000, MaxConcurrency: permits}
					var expired atomic.Int64
					q := open(t, far, redisqueue.WithFreshStart(), redisqueue.WithLimit(limit), redisqueue.WithObserver(func(e gatewayqueue.Event) {
						if e.Kind == gatewayqueue.EventExpired {
							expired.Add(1)
						}
					}))
					held := make(chan gatewayqueue.Permit, permits)
					for shard := range permits { // they come while Redis is near: how long claims take is no matter here
						go func() {
							permit, err := q.Acquire(t.Context(), shard)
							assert.NoError(t, err)
							held <- permit
						}()
					}
					all := make([]gatewayqueue.Permit, permits)
					for i := range all {
						all[i] = <-held
					}
					hook.by.Store(int64(roundTrip))
					for range 300 {
						time.Sleep(100 * time.Millisecond)
						for _, p := range all {
							require.True(t, time.Now().Before(p.Deadline()))
						}
						lease, err := client.ZRangeWithScores(t.Context(), at+"pods", 0, 0).Result()
						require.NoError(t, err)
						require.Greater(t, int64(lease[0].Score), time.Now().UnixMilli(), "its lease comes first")
					}
					require.Zero(t, expired.Load())
					start := time.Now()
					require.NoError(t, q.Close())
					require.Less(t, time.Since(start), 2*time.Second)
				})
			})
		}
	}
}

// The monotonic clock stands still while a machine is suspended.
func TestASuspendedMachine_TakesNoPermitForGood(t *testing.T) {
	for name, row := range map[string]struct {
		suspended, step time.Duration
		good            bool
	}{
		"a short suspension":                      {suspended: 2 * time.Second, good: true},
		"a suspension":                            {suspended: 12 * time.Second},
		"a guest whose clock is set when resumed": {step: 12 * time.Second},
		"a clock that is set back":                {step: -12 * time.Second, good: true},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
				q := open(t, client, fresh(1)...)
				permit, err := q.Acquire(t.Context(), 0)
				require.NoError(t, err)
				elapsed.Simulate(row.suspended, row.step)
				require.Equal(t, row.good, time.Now().Before(permit.Deadline()))
				require.NoError(t, permit.Abandon(t.Context()))
			})
		})
	}
}
