package redisqueue_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// fleet is some pods whose shards identify again and again before a judge,
// until the budget is exhausted.
type fleet struct {
	*testing.T
	judge *gatewaytest.Judge
	log   logbook
	pods  []*redisqueue.RedisQueue
	all   sync.WaitGroup
	stop  context.CancelFunc
}

// startFleet starts pods with four shards each; client makes each its own.
func startFleet(t *testing.T, pods int, limit gatewayqueue.SessionStartLimit, window time.Duration,
	client func() *redis.Client, opts ...redisqueue.Option) *fleet {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	f := &fleet{T: t, judge: gatewaytest.NewJudge(limit, window), log: newLogbook(), stop: stop}
	for i := range pods {
		q := open(t, client(), append([]redisqueue.Option{
			redisqueue.WithLimit(limit), redisqueue.WithFreshStart(), redisqueue.WithReserve(0),
			redisqueue.WithPod(fmt.Sprintf("pod-%d", i)), f.log.option(),
		}, opts...)...)
		f.pods = append(f.pods, q)
		for shard := 4 * i; shard < 4*i+4; shard++ {
			f.all.Go(func() {
				for q.Wait(ctx, shard) == nil {
					f.judge.Identify(shard)
				}
			})
		}
	}
	return f
}

// end ends all waits and gives the verdict.
func (f *fleet) end() gatewaytest.Verdict {
	f.Helper()
	f.stop()
	f.all.Wait()
	v := f.judge.Verdict()
	require.Zero(f, v.Violations, "%v\n%s", v, strings.Join(f.log.all(), "\n"))
	require.Zero(f, v.OverBudget, "%v\n%s", v, strings.Join(f.log.all(), "\n"))
	return v
}

// next is how long it took from a moment until somebody was granted.
func (f *fleet) next(since time.Duration) time.Duration {
	for _, one := range f.judge.Record() {
		if one.At >= since {
			return one.At - since
		}
	}
	return time.Hour
}

// Two holds that a start may cost, for the state that is not there and for the
// script that the server does not know, run at the same time.
func TestAnEmptyRedisKeepsAStartingPodFor10Seconds(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		q := open(t, client, redisqueue.WithLimit(full(4)))
		var first []<-chan error
		for shard := range 4 {
			first = append(first, ask(t.Context(), q, shard))
		}
		for _, answer := range first {
			require.NoError(t, answered(t, answer, 10*time.Second+100*time.Millisecond))
		}
	})
}

func TestLostStateIsNoticed(t *testing.T) {
	t.Parallel()
	del := func(names ...string) func(*testing.T, *miniredis.Miniredis) {
		return func(_ *testing.T, server *miniredis.Miniredis) {
			for _, name := range names {
				server.Del(at + name)
			}
		}
	}
	delAll := func(part string) func(*testing.T, *miniredis.Miniredis) {
		return func(_ *testing.T, server *miniredis.Miniredis) {
			for _, key := range server.Keys() {
				if strings.HasPrefix(key, at+part) {
					server.Del(key)
				}
			}
		}
	}
	const total, hold, lost = 30, 5250 * time.Millisecond, 10 * time.Second // a window; a permit's lease
	for _, c := range []struct {
		name  string
		harm  func(*testing.T, *miniredis.Miniredis)
		lost  bool          // the epoch changes, all is held closed, and the log says so
		pause time.Duration // until the next grant, at most
	}{
		{"Flushed", func(_ *testing.T, s *miniredis.Miniredis) { s.FlushAll() }, true, lost + 1500*time.Millisecond},
		{"LimitsDeleted", del("limits"), true, lost + 1500*time.Millisecond},
		{"RemainingDeleted", del("remaining"), true, lost + 1500*time.Millisecond},
		{"LimitsAndRemainingDeleted", del("limits", "remaining"), true, lost + 1500*time.Millisecond},
		{"SlotsDeleted", delAll("slot:"), false, hold + time.Second},
		{"SlotsAndLinesDeleted", func(t *testing.T, s *miniredis.Miniredis) { delAll("slot:")(t, s); delAll("queue:")(t, s) }, false, hold + time.Second},
		{"OpensDeleted", del("opens"), false, hold + time.Second},
		{"LinesDeleted", delAll("queue:"), false, hold + time.Second},
		{"PodsDeleted", del("pods"), false, hold + time.Second},
		{"SpentDeleted", del("spent"), false, hold + time.Second},
		{"PaidDeleted", delAll("paid:"), false, hold + time.Second},
		{"SeqTurnedBack", func(_ *testing.T, s *miniredis.Miniredis) { s.HSet(at+"limits", "seq", "1") }, true, lost + 1500*time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, _ *redis.Client) {
				limit := gatewayqueue.SessionStartLimit{Total: total, Remaining: total, MaxConcurrency: 2, ResetAfter: 12 * time.Hour}
				f := startFleet(t, 3, limit, gatewayqueue.IdentifyDelay, func() *redis.Client { return virtualClient(t, server) })
				var harmed []time.Duration
				start := time.Now()
				for _, wait := range []time.Duration{21 * time.Second, 13100 * time.Millisecond, 14700 * time.Millisecond} {
					time.Sleep(wait)
					synctest.Wait()
					epoch := server.HGet(at+"limits", "epoch")
					c.harm(t, server)
					harmed = append(harmed, time.Since(start))
					time.Sleep(6 * time.Second) // some notice it as the next window ends
					if now := server.HGet(at+"limits", "epoch"); c.lost {
						require.NotEqual(t, epoch, now, "the epoch")
					} else {
						require.Equal(t, epoch, now, "the epoch")
					}
				}
				time.Sleep(3 * time.Minute)
				v := f.end()
				require.Equal(t, total, v.Identifies, "all of the budget is granted, and no more: %v", f.log.all())
				require.Equal(t, total, sum(v.Shards))
				for i, from := range harmed[:2] {
					require.Less(t, f.next(from), c.pause, "after harm %d: %v", i, f.log.all())
				}
				if c.lost {
					require.GreaterOrEqual(t, f.log.said("Redis had lost state"), 3)
				} else {
					require.Zero(t, f.log.said("lost state"))
				}
			})
		})
	}
}

func sum(m map[int]int) int {
	n := 0
	for _, v := range m {
		n += v
	}
	return n
}

// Slots deleted all the time, as fast as they are set.
func TestASlotThatIsDeletedOpensNothing(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, _ *redis.Client) {
		limit := gatewayqueue.SessionStartLimit{Total: 30, Remaining: 30, MaxConcurrency: 2}
		f := startFleet(t, 3, limit, gatewayqueue.IdentifyDelay, func() *redis.Client { return virtualClient(t, server) })
		for range 600 {
			time.Sleep(100 * time.Millisecond)
			server.Del(at + "slot:0")
			server.Del(at + "slot:1")
		}
		require.Greater(t, f.end().Identifies, 20)
	})
}

func TestAStartAfterEverythingWasLostHoldsAPermitsLeaseAndSaysWhatItCannotKnow(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		log := newLogbook()
		start := time.Now()
		require.NoError(t, open(t, client, redisqueue.WithLimit(full(1)), log.option()).Wait(t.Context(), 0))
		require.InDelta(t, 10, time.Since(start).Seconds(), 0.1)
		require.Equal(t, 1, log.said("WARN started a queue: Redis had none, or has lost it; every bucket stays closed for a while, because what was spent of the budget, and who identified just now, cannot be known"), log.all())
	})
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		log := newLogbook()
		source := func(context.Context) (gatewayqueue.SessionStartLimit, error) { return full(1), nil }
		start := time.Now()
		require.NoError(t, open(t, client, redisqueue.WithLimitSource(source), log.option()).Wait(t.Context(), 0))
		require.InDelta(t, 10, time.Since(start).Seconds(), 0.1)
		require.Equal(t, 1, log.said("INFO started a queue: Redis had none, or has lost it; every bucket stays closed for a while, because who identified just now cannot be known"), log.all())
	})
}

// The budget that another pod remembers, or the source knows, counts; never a
// full one by assumption.
func TestALostBudgetIsTheLowestThatAnyoneKnows(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		limit := gatewayqueue.SessionStartLimit{Total: 100, Remaining: 99, MaxConcurrency: 1, ResetAfter: time.Hour}
		opts := []redisqueue.Option{redisqueue.WithLimit(limit), redisqueue.WithFreshStart(), redisqueue.WithReserve(0)}
		early, late := open(t, client, opts...), open(t, client, opts...)
		require.NoError(t, early.Wait(t.Context(), 0)) // remembers 98
		for shard := range 5 {
			require.NoError(t, late.Wait(t.Context(), shard)) // remembers 93
		}
		server.FlushAll()
		require.NoError(t, early.Wait(t.Context(), 0), "it seeds what it remembers")
		require.NoError(t, late.Wait(t.Context(), 0), "it lowers that")
		status, err := early.Status(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, status.Budget.Remaining, 92)
		require.InDelta(t, time.Hour.Seconds(), status.Budget.Reset.Sub(status.Time).Seconds(), 120, "the reset is kept")
	})
}
