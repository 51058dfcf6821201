package redisqueue_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// ours are the goroutines that run code of this package, but for the tests.
func ours() []string {
	buf := make([]byte, 64<<20)
	var found []string
	for _, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "gatewayqueue/redisqueue.(") {
			found = append(found, stack)
		}
	}
	return found
}

// A synctest bubble fails if a goroutine or a timer is left that was started in
// it, so it is enough to close, and to end.
func TestCloseLeavesNoGoroutine(t *testing.T) {
	for name, use := range map[string]func(t *testing.T, q *redisqueue.RedisQueue, hook *away){
		"Unused": func(*testing.T, *redisqueue.RedisQueue, *away) {},
		"AfterAGrant": func(t *testing.T, q *redisqueue.RedisQueue, _ *away) {
			require.NoError(t, q.Wait(t.Context(), 0))
		},
		"WithWaiters": func(t *testing.T, q *redisqueue.RedisQueue, _ *away) {
			for shard := range 50 {
				_ = ask(t.Context(), q, shard)
			}
			time.Sleep(7 * time.Second)
		},
		"WithPermitsOut": func(t *testing.T, q *redisqueue.RedisQueue, _ *away) {
			for shard := range 2 {
				_, err := q.Acquire(t.Context(), shard)
				require.NoError(t, err)
			}
			time.Sleep(7 * time.Second)
		},
		"WhileRedisIsAway": func(t *testing.T, q *redisqueue.RedisQueue, hook *away) {
			permit, err := q.Acquire(t.Context(), 0)
			require.NoError(t, err)
			hook.set(context.DeadlineExceeded)
			go permit.Identified(t.Context()) //nolint:errcheck // it fails
			for shard := range 10 {
				_ = ask(t.Context(), q, shard)
			}
			time.Sleep(7 * time.Second)
		},
		"WithCancelledWaiters": func(t *testing.T, q *redisqueue.RedisQueue, _ *away) {
			ctx, cancel := context.WithCancel(t.Context())
			for shard := range 50 {
				_ = ask(ctx, q, shard)
			}
			time.Sleep(7 * time.Second)
			cancel()
		},
		"WhileTheSourceHangs": func(t *testing.T, q *redisqueue.RedisQueue, _ *away) {
			_ = ask(t.Context(), q, 100)
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				hook := new(away)
				client.AddHook(perCommand{hook})
				opts := fresh(2)
				if name == "WhileTheSourceHangs" {
					opts = append(opts, redisqueue.WithLimitSource(func(ctx context.Context) (gatewayqueue.SessionStartLimit, error) {
						<-ctx.Done()
						return full(1), ctx.Err()
					}))
				}
				q := open(t, client, opts...)
				use(t, q, hook)
				require.NoError(t, q.Close())
				hook.set(nil)
				time.Sleep(20 * time.Second) // a permit is reported for its lease and a window
				synctest.Wait()
				require.Empty(t, ours())
			})
		})
	}
}

func TestAnIdlePodSendsNothing(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		hook := new(away)
		client.AddHook(perCommand{hook})
		q := open(t, client, fresh(4)...)
		for shard := range 8 {
			require.NoError(t, q.Wait(t.Context(), shard))
		}
		permit, err := q.Acquire(t.Context(), 9)
		require.NoError(t, err)
		require.NoError(t, permit.Identified(t.Context()))
		time.Sleep(time.Minute) // the last beat finds that nobody waits
		synctest.Wait()
		calls := hook.calls()
		time.Sleep(time.Hour)
		require.Equal(t, calls, hook.calls())
		require.Empty(t, ours(), "nor does it keep a goroutine")
	})
}

func TestAnIdlePodOnARealServerSendsNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := server.Client(t)
	q := open(t, server.Client(t), brief()...)
	require.NoError(t, q.Wait(t.Context(), 0))
	time.Sleep(500 * time.Millisecond)
	require.NoError(t, admin.ConfigResetStat(t.Context()).Err())
	time.Sleep(2 * time.Second)
	stats, err := admin.Info(t.Context(), "commandstats").Result()
	require.NoError(t, err)
	require.NotContains(t, stats, "eval", stats)
}

// What a pod sends while it waits must not grow with the number that wait.
func TestWaitersCostNoCommands(t *testing.T) {
	cost := func(waiters int) (calls int) {
		within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
			hook := new(away)
			client.AddHook(perCommand{hook})
			q := open(t, client, fresh(1)...)
			for shard := range waiters {
				_ = ask(t.Context(), q, shard)
			}
			time.Sleep(20 * time.Second)
			calls = hook.calls()
			time.Sleep(105 * time.Second) // 20 grants
			calls = hook.calls() - calls
			require.NoError(t, q.Close())
		})
		return calls
	}
	few, many := cost(40), cost(1000)
	require.LessOrEqual(t, many, few+few/5, "%d waiters cost %d commands, %d cost %d", 40, few, 1000, many)
	require.LessOrEqual(t, many, 20+70+5, "one claim for each grant, and the pod's lease")
}

func TestTenThousandWaitersAreCheap(t *testing.T) {
	server := redistest.Start(t)
	const waiters, buckets = 10_000, 16
	q := open(t, server.Client(t, func(o *redis.Options) { o.PoolSize = 20 }), redisqueue.WithLimit(gatewayqueue.SessionStartLimit{
		Total: 100_000, Remaining: 100_000, MaxConcurrency: buckets,
	}))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	for shard := range waiters {
		go q.Wait(ctx, shard) //nolint:errcheck // it is cancelled
	}
	require.Eventually(t, func() bool {
		status, err := q.Status(t.Context())
		return err == nil && status.Waiting() == waiters
	}, 20*time.Second, 50*time.Millisecond, "all have told Redis their place")
	runtime.GC()
	runtime.ReadMemStats(&after)
	goroutines = runtime.NumGoroutine() - goroutines
	require.LessOrEqual(t, goroutines, waiters+buckets+2+20, "one for each caller and bucket, the keeper, and the client's")
	heap := int(after.HeapAlloc-before.HeapAlloc) / waiters
	t.Logf("%d goroutines, %d bytes of heap and %d of stack each", goroutines, heap, int(after.StackInuse-before.StackInuse)/waiters)
	require.Less(t, heap, 2048)
}

// What is there when all pods have closed, and for how long.
func TestWhatRemainsInRedis(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		var pods []*redisqueue.RedisQueue
		for i := range 3 {
			pods = append(pods, open(t, client, fresh(2, redisqueue.WithPod(fmt.Sprintf("pod-%d", i)))...))
		}
		for shard := range 6 {
			require.NoError(t, pods[shard%3].Wait(t.Context(), shard))
		}
		permit, err := pods[0].Acquire(t.Context(), 7)
		require.NoError(t, err)
		for shard := range 20 {
			_ = ask(t.Context(), pods[shard%3], shard)
		}
		time.Sleep(time.Second)
		require.NoError(t, permit.Abandon(t.Context()))
		for _, q := range pods {
			require.NoError(t, q.Close())
		}
		names := func() []string {
			var names []string
			for _, key := range server.Keys() {
				name := strings.TrimPrefix(key, at)
				if strings.HasPrefix(name, "paid:") || strings.HasPrefix(name, "slot:") {
					require.Positive(t, server.TTL(key), key)
					name, _, _ = strings.Cut(name, ":")
				}
				names = append(names, name)
			}
			slices.Sort(names)
			return slices.Compact(names)
		}
		require.Equal(t, []string{"limits", "opens", "out", "paid", "remaining", "slot", "spent"}, names())
		time.Sleep(10 * time.Second)
		require.Equal(t, []string{"limits", "opens", "out", "paid", "remaining", "spent"}, names())
		time.Sleep(time.Minute)
		require.Equal(t, []string{"limits", "opens", "out", "paid", "remaining", "spent"}, names(), "one paid for each unit")
		time.Sleep(24 * time.Hour)
		require.Equal(t, []string{"limits", "opens", "out"}, names(), "what lapsed may begin the next period")
		time.Sleep(6 * 24 * time.Hour)
		require.Equal(t, []string{"limits", "opens"}, names())
	})
}
