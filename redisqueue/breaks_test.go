package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
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

var errKilled = errors.New("this pod is dead")

// cutOff makes a pod whose calls can be made to fail, as if it had died.
func cutOff(t *testing.T, server *miniredis.Miniredis, opts ...redisqueue.Option) (*redisqueue.RedisQueue, *away) {
	hook, client := new(away), virtualClient(t, server)
	client.AddHook(perCommand{hook})
	return open(t, client, opts...), hook
}

func TestADeadPodHoldsNobodyUpForMoreThanItsLeaseAndOnce(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		live := open(t, client, fresh(1)...)
		dead, hook := cutOff(t, server, fresh(1)...)
		require.NoError(t, live.Wait(t.Context(), 0))
		for shard := range 8 { // all of these stand before the live ones
			_ = ask(t.Context(), dead, 10+shard)
		}
		time.Sleep(100 * time.Millisecond)
		var line []<-chan error
		for shard := range 4 {
			line = append(line, ask(t.Context(), live, 20+shard))
			synctest.Wait()
		}
		time.Sleep(5*time.Second - 100*time.Millisecond) // its lease was renewed just before
		hook.set(errKilled)
		died := time.Now()
		require.NoError(t, <-line[0])
		require.LessOrEqual(t, time.Since(died), 3*time.Second+250*time.Millisecond, "its lease")
		for _, next := range line[1:] {
			before := time.Now()
			require.NoError(t, <-next)
			require.LessOrEqual(t, time.Since(before), 5300*time.Millisecond, "once")
		}
	})
}

// Of lines in which a pod is far back it hears in turn only. One that has become
// shorter makes it look at all of them.
func TestAPodThatIsFarBackEverywhereHearsThatThoseBeforeItHaveGone(t *testing.T) {
	const buckets, before = 24, 12
	for name, end := range map[string]func(*redisqueue.RedisQueue, *away) time.Duration{
		"Closed": func(q *redisqueue.RedisQueue, _ *away) time.Duration { _ = q.Close(); return 0 },
		"Dead": func(_ *redisqueue.RedisQueue, hook *away) time.Duration {
			hook.set(errKilled)
			return redisqueue.DefaultPodLease
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				live := open(t, client, fresh(buckets)...)
				gone, hook := cutOff(t, server, fresh(buckets)...)
				for shard := range buckets {
					require.NoError(t, live.Wait(t.Context(), shard))
				}
				for shard := range buckets * before {
					_ = ask(t.Context(), gone, buckets+shard)
				}
				time.Sleep(100 * time.Millisecond)
				var line []<-chan error
				for shard := range buckets {
					line = append(line, ask(t.Context(), live, buckets*(1+before)+shard))
				}
				time.Sleep(6 * time.Second) // the first of the gone are served
				extra := end(gone, hook)
				for _, next := range line {
					require.NoError(t, answered(t, next, 2*redisqueue.DefaultPodLease+extra), "a window, and a beat")
				}
			})
		})
	}
}

func TestADeadPodsPermitHoldsItsBucketForItsLease(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		live := open(t, client, fresh(1)...)
		dead, hook := cutOff(t, server, fresh(1)...)
		_, err := dead.Acquire(t.Context(), 0)
		require.NoError(t, err)
		next := ask(t.Context(), live, 1)
		time.Sleep(30 * time.Second)
		waitsOn(t, next, 0) // it is renewed while its pod lives
		hook.set(errKilled)
		died := time.Now()
		require.NoError(t, <-next)
		require.LessOrEqual(t, time.Since(died), 11*time.Second)
		require.GreaterOrEqual(t, time.Since(died), 7*time.Second)
	})
}

func TestAPodWronglyTakenForDeadGetsItsPlacesBack(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		log := newLogbook()
		live := open(t, client, fresh(1)...)
		slow, hook := cutOff(t, server, fresh(1, log.option())...)
		require.NoError(t, live.Wait(t.Context(), 0))
		var served []int
		var mu sync.Mutex
		var all sync.WaitGroup
		enter := func(q *redisqueue.RedisQueue, shard int) {
			all.Go(func() {
				if q.Wait(t.Context(), shard) == nil {
					mu.Lock()
					defer mu.Unlock()
					served = append(served, shard)
				}
			})
			time.Sleep(10 * time.Millisecond)
		}
		for shard := 11; shard < 15; shard++ {
			enter(slow, shard)
		}
		for shard := 21; shard < 25; shard++ {
			enter(live, shard)
		}
		hook.set(errKilled)
		time.Sleep(9 * time.Second) // the first of the live is served
		hook.set(nil)
		all.Wait()
		// 22 is granted while the other pod, after its outage, wants no grant yet.
		require.Equal(t, []int{21, 22, 11, 12, 13, 14, 23, 24}, served)
	})
}

// A pod that cannot reach Redis must not use its permit when another may have
// the bucket by now, not even where Redis has forgotten all about it meanwhile.
func TestAPermitThatHasLapsedComesToNoLifeAgain(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		judge := gatewaytest.NewJudge(full(1), gatewayqueue.IdentifyDelay)
		live := open(t, client, fresh(1)...)
		paused, hook := cutOff(t, server, fresh(1)...)
		permit, err := paused.Acquire(t.Context(), 0)
		require.NoError(t, err)
		hook.set(errKilled)
		require.NoError(t, live.Wait(t.Context(), 1))
		judge.Identify(1)
		server.FlushAll()
		hook.set(nil)
		for range 60 {
			time.Sleep(100 * time.Millisecond)
			if time.Now().Before(permit.Deadline()) {
				judge.Identify(0)
				break
			}
		}
		require.Zero(t, judge.Verdict().Violations)
	})
}

// unruly is a hook that loses requests and replies, and delays both.
type unruly struct {
	away
	lose, latency float64 // the chance, and the longest in seconds
}

func (u *unruly) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	trip := func(ctx context.Context) error {
		select {
		case <-time.After(time.Duration(rand.Float64() * u.latency * float64(time.Second))):
		case <-ctx.Done():
			return ctx.Err()
		}
		if rand.Float64() < u.lose {
			return io.EOF
		}
		return nil
	}
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := trip(ctx)
		if err == nil {
			answer := next(ctx, cmd)
			if err = trip(ctx); err == nil {
				return answer
			}
		}
		cmd.SetErr(err)
		return err
	}
}

func TestOneUnitForEachGrantThoughRepliesAreLostOrLate(t *testing.T) {
	unraced(t)
	t.Parallel()
	for _, c := range []struct{ lose, latency float64 }{{0.1, 0}, {0.4, 0}, {0, 0.2}, {0.1, 1}, {0.05, 4}} {
		t.Run(fmt.Sprintf("Lost%vLate%vs", c.lose, c.latency), func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				f := startFleet(t, 3, gatewayqueue.SessionStartLimit{Total: 60, Remaining: 60, MaxConcurrency: 2}, gatewayqueue.IdentifyDelay, func() *redis.Client {
					client := virtualClient(t, server)
					client.AddHook(perCommand{&unruly{lose: c.lose, latency: c.latency}})
					return client
				})
				for range 180 { // the last units may need many tries where every reply is late
					if time.Sleep(time.Minute); f.judge.Verdict().Identifies == 60 {
						break
					}
				}
				v := f.end()
				left, err := server.Get(at + "remaining")
				require.NoError(t, err)
				require.Equal(t, "0", left)
				lost := 0
				if c.latency > 2 { // slower than a window, a ticket may be forgotten to have paid
					lost = 6
				}
				require.LessOrEqual(t, v.Identifies, 60)
				require.GreaterOrEqual(t, v.Identifies, 60-lost, "every unit is somebody's grant: %v", v)
			})
		})
	}
}

// Callers leave at any moment, also in that of their grant: what they do not
// use goes back.
func TestUnitsOfThoseWhoLeftInTheInstantOfTheirGrantComeBack(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		judge := gatewaytest.NewJudge(full(2), gatewayqueue.IdentifyDelay)
		var pods []*redisqueue.RedisQueue
		for range 2 {
			client := virtualClient(t, server)
			client.AddHook(perCommand{&unruly{latency: 0.01}})
			pods = append(pods, open(t, client, fresh(2)...))
		}
		var grants atomic.Int64
		var all sync.WaitGroup
		for shard := range 16 {
			all.Go(func() {
				for round := range 60 {
					ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Hour)
					// Windows end every 5.25 s after a grant, give or take the latency.
					weary := time.AfterFunc(5250*time.Millisecond+time.Duration(rand.IntN(40)-5)*time.Millisecond, cancel)
					q := pods[(shard+round)%2]
					if round%3 == 0 {
						if permit, err := q.Acquire(ctx, shard); err == nil {
							_ = permit.Abandon(t.Context())
						}
					} else if q.Wait(ctx, shard) == nil {
						grants.Add(1)
						judge.Identify(shard)
					}
					weary.Stop()
					cancel()
				}
			})
		}
		all.Wait()
		time.Sleep(time.Minute)
		v := judge.Verdict()
		require.Zero(t, v.Violations, v)
		left, err := server.Get(at + "remaining")
		require.NoError(t, err)
		require.Equal(t, strconv.FormatInt(1000-grants.Load(), 10), left, "units that are left")
		require.Greater(t, grants.Load(), int64(10))
		status, err := pods[0].Status(t.Context())
		require.NoError(t, err)
		require.Zero(t, status.Waiting())
		require.EqualValues(t, grants.Load(), sum(status.Spent))
	})
}

// The limits are lost while Discord has others.
func TestNobodyIsForgottenWhenStateIsLostAndMaxConcurrencyChanges(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, _ *redis.Client) {
		var mc atomic.Int64
		mc.Store(3)
		source := func(context.Context) (gatewayqueue.SessionStartLimit, error) { return full(int(mc.Load())), nil }
		var served atomic.Int64
		var pods []*redisqueue.RedisQueue
		for range 3 {
			pods = append(pods, open(t, virtualClient(t, server), redisqueue.WithLimitSource(source), redisqueue.WithReserve(0)))
		}
		for shard := range 30 {
			go func() {
				if pods[shard%3].Wait(t.Context(), shard) == nil {
					served.Add(1)
				}
			}()
		}
		for _, n := range []int64{2, 3, 1, 4} {
			time.Sleep(12 * time.Second)
			mc.Store(n)
			server.Del(at + "limits")
		}
		time.Sleep(30 * 6 * time.Second)
		require.EqualValues(t, 30, served.Load())
	})
}
