package redisqueue_test

// What is spent is spent once, and in the period in which it is, whatever of it
// is lost: keys, replies, or the way to Redis.

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// A pod that has been idle meets a Redis that has lost some keys, while the pod
// that knows better is idle by then.
func TestLostKeys_TheLeastWitnessCounts(t *testing.T) {
	keys := []string{"remaining", "spent", "limits", "out"}
	for combination := 1; combination < 1<<len(keys); combination++ {
		var lost []string
		gone := make(map[string]bool)
		for i, key := range keys {
			if combination&(1<<i) != 0 {
				lost, gone[key] = append(lost, at+key), true
			}
		}
		if gone["remaining"] && gone["spent"] {
			continue // only the idle pods know, and none of them is asked
		}
		t.Run(fmt.Sprint(lost), func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				const total = 30
				limit := gatewayqueue.SessionStartLimit{Total: total, Remaining: total, MaxConcurrency: 2}
				judge := gatewaytest.NewJudge(limit, gatewayqueue.IdentifyDelay)
				pod := func() *redisqueue.RedisQueue {
					return open(t, client, redisqueue.WithLimit(limit), redisqueue.WithFreshStart(), redisqueue.WithReserve(0), redisqueue.WithBackoff(0), redisqueue.WithFailExhausted())
				}
				idle, busy := pod(), pod()
				p, err := idle.Acquire(t.Context(), 0)
				require.NoError(t, err)
				require.NoError(t, p.Abandon(t.Context()))
				for shard := range 18 {
					require.NoError(t, busy.Wait(t.Context(), shard))
					judge.Identify(shard)
				}
				time.Sleep(time.Minute)
				for _, key := range lost {
					server.Del(key)
				}
				for shard := 0; err == nil; shard++ {
					if err = idle.Wait(t.Context(), shard); err == nil {
						judge.Identify(shard)
					}
				}
				require.ErrorIs(t, err, gatewayqueue.ErrExhausted)
				v := judge.Verdict()
				assert.Zero(t, v.OverBudget, v)
				assert.Equal(t, total, v.Identifies, "what is left can be used")
			})
		})
	}
}

// deaf executes the next call and loses its reply; from then on it reaches
// nobody, until it is healed.
type deaf struct{ away }

func (d *deaf) once() *deaf {
	d.set(errDeaf)
	return d
}

var (
	errDeaf = errors.New("EOF")
	errCut  = errors.New("dial tcp: i/o timeout")
)

func (d *deaf) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		d.mu.Lock()
		err := d.err
		if errors.Is(err, errDeaf) {
			d.err = errCut
		}
		d.mu.Unlock()
		if errors.Is(err, errCut) {
			cmd.SetErr(err)
			return err
		}
		if result := next(ctx, cmd); err == nil {
			return result
		}
		cmd.SetErr(err)
		return err
	}
}

// A call is executed, its answer is lost, and then its pod cannot reach Redis.
func TestOutages_AUnitIsPaidOnceHoweverLongTheyLast(t *testing.T) {
	const total = 100
	limit := gatewayqueue.SessionStartLimit{Total: total, Remaining: total - 10, ResetAfter: 10 * time.Hour, MaxConcurrency: 1}
	for _, outage := range []time.Duration{20 * time.Second, 61 * time.Second, time.Hour, 11 * time.Hour} {
		left := limit.Remaining
		if outage > limit.ResetAfter {
			left = total
		}
		for _, c := range []struct {
			call  string
			spent int // of the period at the end
			do    func(t *testing.T, q *redisqueue.RedisQueue, d *deaf)
		}{
			{"Claim", 1, func(t *testing.T, q *redisqueue.RedisQueue, d *deaf) {
				d.once()
				done := ask(t.Context(), q, 1)
				time.Sleep(outage)
				d.set(nil)
				require.NoError(t, answered(t, done, time.Minute))
			}},
			{"Identified", 1, func(t *testing.T, q *redisqueue.RedisQueue, d *deaf) {
				p, err := q.Acquire(t.Context(), 1)
				require.NoError(t, err)
				d.once()
				go func() { _ = p.Identified(context.Background()) }()
				time.Sleep(outage)
				d.set(nil)
				_ = p.Identified(t.Context()) //nolint:errcheck // it was said before
			}},
			{"Abandon", 0, func(t *testing.T, q *redisqueue.RedisQueue, d *deaf) {
				p, err := q.Acquire(t.Context(), 1)
				require.NoError(t, err)
				d.once()
				go func() { _ = p.Abandon(context.Background()) }()
				time.Sleep(outage)
				d.set(nil)
			}},
			{"Renew", 1, func(t *testing.T, q *redisqueue.RedisQueue, d *deaf) {
				_, err := q.Acquire(t.Context(), 1)
				require.NoError(t, err)
				d.once()
				time.Sleep(outage)
				d.set(nil)
			}},
		} {
			t.Run(fmt.Sprint(c.call, outage), func(t *testing.T) {
				within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
					d, cut := new(deaf), virtualClient(t, server)
					cut.AddHook(perCommand{d})
					opts := []redisqueue.Option{redisqueue.WithLimit(limit), redisqueue.WithFreshStart(), redisqueue.WithReserve(0)}
					q, other := open(t, cut, opts...), open(t, client, opts...)
					require.NoError(t, other.Wait(t.Context(), 0))
					c.do(t, q, d)
					time.Sleep(time.Minute)
					synctest.Wait()
					if outage > limit.ResetAfter { // its first grant begins the new period
						require.NoError(t, other.Wait(t.Context(), 3))
					}
					status, err := other.Status(t.Context())
					require.NoError(t, err)
					spent := left - 1 - status.Budget.Remaining
					if outage > limit.ResetAfter && c.call != "Claim" {
						c.spent = 0 // it was settled, or lapsed, in the period before
					}
					if c.call == "Abandon" && outage > time.Minute && spent == 1 {
						return // nobody says it for longer: the unit stays spent
					}
					assert.Equal(t, c.spent, spent, "units")
				})
			})
		}
	}
}

// At a reset a limit source is asked before anything is granted, for ours may
// have ended before Discord's.
func TestAReset_TheSourceIsAskedFirst(t *testing.T) {
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		var d discord
		d.set(100, 50, 4, time.Hour)
		q := open(t, client, redisqueue.WithLimitSource(d.ask), redisqueue.WithFreshStart())
		require.NoError(t, q.Wait(t.Context(), 0))
		time.Sleep(time.Hour - time.Minute)
		d.set(100, 0, 4, 2*time.Hour) // it knows better
		time.Sleep(2 * time.Minute)
		var waits []<-chan error
		for shard := range 8 {
			waits = append(waits, ask(t.Context(), q, shard))
		}
		for _, wait := range waits {
			waitsOn(t, wait, time.Minute)
		}
		d.set(100, 100, 4, 0)
		for _, wait := range waits {
			require.NoError(t, answered(t, wait, 3*time.Hour))
		}
	})
}

// While the source fails, a reset does not wait for it.
func TestAReset_ASourceThatFailsIsNotWaitedFor(t *testing.T) {
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		var d discord
		d.set(100, 50, 4, time.Hour)
		q := open(t, client, redisqueue.WithLimitSource(d.ask), redisqueue.WithFreshStart())
		require.NoError(t, q.Wait(t.Context(), 0))
		time.Sleep(time.Hour + time.Minute)
		err := errors.New("503")
		d.err.Store(&err)
		require.NoError(t, answered(t, ask(t.Context(), q, 1), time.Minute))
	})
}

func TestReserve_IsAtLeastMaxConcurrency(t *testing.T) {
	for _, c := range []struct{ total, maxConcurrency, grants int }{
		{1000, 64, 6}, {1000, 1, 60}, {50, 1, 49}, {40, 32, 20}, {2, 1, 1}, {1, 16, 1},
	} {
		within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
			left := min(c.total, 70)
			q := open(t, client, redisqueue.WithFreshStart(), redisqueue.WithFailExhausted(), redisqueue.WithBackoff(0),
				redisqueue.WithLimit(gatewayqueue.SessionStartLimit{Total: c.total, Remaining: left, ResetAfter: 20 * time.Hour, MaxConcurrency: c.maxConcurrency}))
			n := 0
			for q.Wait(t.Context(), n) == nil {
				n++
			}
			assert.Equal(t, c.grants, n, "of %d, with max_concurrency %d", c.total, c.maxConcurrency)
		})
	}
}

// Where nobody asks for days, a permit that lapsed began a period all the same,
// which is over by then. What took all units without one, such as a hand, began it
// when somebody asked.
func TestUsedUpWithoutAPeriod_IsFullAfterOne(t *testing.T) {
	for _, total := range []int{1, 2, 5} {
		limit := gatewayqueue.SessionStartLimit{Total: total, Remaining: total, MaxConcurrency: 1}
		for name, use := range map[string]func(t *testing.T, server *miniredis.Miniredis, q *redisqueue.RedisQueue){
			"a permit lapses": func(*testing.T, *miniredis.Miniredis, *redisqueue.RedisQueue) {},
			"remaining is set by hand": func(t *testing.T, server *miniredis.Miniredis, q *redisqueue.RedisQueue) {
				require.NoError(t, server.Set(at+"remaining", "0"))
				server.Del(at + "out")
				require.ErrorIs(t, q.Wait(t.Context(), 0), gatewayqueue.ErrExhausted)
			},
		} {
			t.Run(fmt.Sprintf("%s, of %d", name, total), func(t *testing.T) {
				within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
					q := open(t, client, redisqueue.WithFreshStart(), redisqueue.WithLimit(limit), redisqueue.WithReserve(0), redisqueue.WithFailExhausted())
					_, err := q.Acquire(t.Context(), 0)
					require.NoError(t, err)
					time.Sleep(3 * time.Minute)
					use(t, server, q)
					time.Sleep(25 * time.Hour)
					for shard := range total {
						require.NoError(t, q.Wait(t.Context(), shard))
					}
					require.ErrorIs(t, q.Wait(t.Context(), total), gatewayqueue.ErrExhausted)
				})
			})
		}
	}
}
