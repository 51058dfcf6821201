package redisqueue_test

// Where two rules meet.

import (
	"context"
	"crypto/sha1" //nolint:gosec // what a server knows scripts by
	"encoding/hex"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// One pod has heard that nobody may ask Discord for an hour; then the period is over.
// The others know that by Redis alone, and do not wait for that hour either.
func TestAReset_ASourceThatOnePodMayNotAskIsNotWaitedForByTheOthers(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, _ *redis.Client) {
		var d discord
		d.set(100, 50, 1, time.Hour)
		opts := []redisqueue.Option{redisqueue.WithLimitSource(d.ask), redisqueue.WithFreshStart(), redisqueue.WithRefresh(10 * time.Minute)}
		pods := make([]*redisqueue.RedisQueue, 3)
		for i := range pods {
			pods[i] = open(t, virtualClient(t, server), opts...)
			require.NoError(t, pods[i].Wait(t.Context(), i))
		}
		time.Sleep(55 * time.Minute)
		var failed error = inAnHour
		d.err.Store(&failed)
		require.NoError(t, pods[0].Wait(t.Context(), 0)) // its beat asks the source
		a := ask(t.Context(), pods[0], 3)
		b := ask(t.Context(), pods[0], 4)
		require.NoError(t, answered(t, a, time.Minute))
		require.NoError(t, answered(t, b, time.Minute))

		time.Sleep(10 * time.Minute)
		var waits []<-chan error
		for i := len(pods) - 1; i > 0; i-- {
			waits = append(waits, ask(t.Context(), pods[i], 10+i))
			time.Sleep(10 * time.Millisecond)
		}
		for _, w := range waits {
			assert.NoError(t, answered(t, w, time.Minute))
		}

	})
}

// A pod remembers limits that are in force no more, and meets a Redis that has
// lost nothing but what is left of the budget.
func TestLostKeys_LimitsThatAreThereStay(t *testing.T) {
	for name, lost := range map[string]string{"remaining": at + "remaining"} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				idle := open(t, client, redisqueue.WithLimit(full(16)), redisqueue.WithFreshStart())
				require.NoError(t, idle.Wait(t.Context(), 0))
				time.Sleep(time.Minute)
				busy := open(t, client, redisqueue.WithLimitSource(func() redisqueue.LimitSource { var d discord; d.set(1000, 900, 1, time.Hour); return d.ask }()))
				require.NoError(t, busy.Update(t.Context(), gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 900, ResetAfter: time.Hour, MaxConcurrency: 1}))
				time.Sleep(time.Minute)
				server.Del(lost)
				require.NoError(t, idle.Wait(t.Context(), 1))
				status, err := idle.Status(t.Context())
				require.NoError(t, err)
				assert.Equal(t, 1, status.Budget.MaxConcurrency)
			})
		})
	}
}

// The period's first grant is not heard of, and is given again hours later: the
// period begins when it is used.
func TestOutages_APeriodBeginsWithTheGrantThatIsUsed(t *testing.T) {
	const total = 20
	limit := gatewayqueue.SessionStartLimit{Total: total, Remaining: total, MaxConcurrency: 1}
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		d, cut := new(deaf), virtualClient(t, server)
		cut.AddHook(perCommand{d})
		opts := []redisqueue.Option{redisqueue.WithLimit(limit), redisqueue.WithReserve(0), redisqueue.WithBackoff(0)}
		q := open(t, cut, opts...)
		p, err := q.Acquire(t.Context(), 0)
		require.NoError(t, err)
		require.NoError(t, p.Abandon(t.Context()))
		d.once()
		start := time.Now()
		done := ask(t.Context(), q, 1)
		time.Sleep(time.Hour)
		d.set(nil)
		require.NoError(t, answered(t, done, time.Minute))
		status, err := open(t, client).Status(t.Context())
		require.NoError(t, err)
		assert.GreaterOrEqual(t, status.Budget.Reset.Sub(start), 25*time.Hour)
	})
}

// lag is a hook that holds calls up, on the way there or back.
type lag struct {
	away

	there, back time.Duration
	only        string // the hash of a script; empty for any call
}

func (s *lag) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); s.only != "" && (len(args) < 2 || args[1] != s.only) {
			return next(ctx, cmd)
		}
		time.Sleep(s.there)
		defer time.Sleep(s.back)
		return next(ctx, cmd)
	}
}

// A reply that takes longer than the margin, or than what of it is not for the
// caller, is too old, however short the margin is.
func TestWait_NoMarginIsTooShortForASlowReply(t *testing.T) {
	for name, c := range map[string]struct {
		margin, left, reply time.Duration
	}{
		"no margin":                   {0, 0, 30 * time.Millisecond},
		"a short margin":              {20 * time.Millisecond, 0, 90 * time.Millisecond},
		"a short margin, much slower": {20 * time.Millisecond, 0, 700 * time.Millisecond},
		"all of it for the caller":    {time.Second, time.Second, 90 * time.Millisecond},
		"a long one for the caller":   {10 * time.Second, 10 * time.Second, 90 * time.Millisecond},
		"most of it for the caller":   {time.Second, 900 * time.Millisecond, 300 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				far := virtualClient(t, server)
				far.AddHook(perCommand{&lag{back: c.reply}})
				opts := fresh(1, redisqueue.WithMargin(c.margin), redisqueue.WithMarginLeft(c.left))
				q, near := open(t, far, opts...), open(t, client, opts...)
				var last time.Time
				for shard := range 3 {
					require.NoError(t, answered(t, ask(t.Context(), q, 2*shard), time.Minute))
					time.Sleep(c.left)
					identified := time.Now()
					if !last.IsZero() {
						assert.GreaterOrEqual(t, identified.Sub(last), gatewayqueue.IdentifyDelay)
					}
					require.NoError(t, answered(t, ask(t.Context(), near, 2*shard+1), time.Minute))
					last = time.Now()
					assert.GreaterOrEqual(t, last.Sub(identified), gatewayqueue.IdentifyDelay)
				}
			})
		})
	}
}

// A caller leaves while the call that gives it its place is on its way, which
// then arrives after the one that gives the place up.
func TestLeaving_WhileAPlaceIsBeingTaken(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		first := open(t, client, fresh(2)...)
		require.NoError(t, first.Wait(t.Context(), 0))
		require.NoError(t, first.Wait(t.Context(), 1))
		far := virtualClient(t, server)
		sum := sha1.Sum([]byte(lua.Beat.Source))
		far.AddHook(perCommand{&lag{there: 100 * time.Millisecond, only: hex.EncodeToString(sum[:])}})
		q := open(t, far, fresh(2)...)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		var waits []<-chan error
		for shard := range 4 {
			waits = append(waits, ask(ctx, q, 2+shard))
		}
		for _, w := range waits {
			require.Error(t, answered(t, w, time.Second))
		}
		time.Sleep(time.Second)
		status, err := first.Status(t.Context())
		require.NoError(t, err)
		for _, b := range status.Buckets {
			assert.Empty(t, b.Line, "bucket %d", b.Bucket)
		}
	})
}

// Nobody is refused while a permit that is out may give its unit back.
func TestExhausted_NotWhileAPermitMayGiveItsUnitBack(t *testing.T) {
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 24, ResetAfter: 10 * time.Hour, MaxConcurrency: 20}
		holder := open(t, client, redisqueue.WithLimit(limit), redisqueue.WithFreshStart())
		permit, err := holder.Acquire(t.Context(), 0)
		require.NoError(t, err)
		q := open(t, client, redisqueue.WithLimit(limit), redisqueue.WithFreshStart(), redisqueue.WithFailExhausted())
		for shard := 1; shard < 4; shard++ {
			require.NoError(t, q.Wait(t.Context(), shard))
		}
		last := ask(t.Context(), q, 4)
		time.Sleep(10 * time.Second)
		require.Empty(t, last, "refused before the permit was settled")
		require.NoError(t, permit.Abandon(t.Context()))
		require.NoError(t, answered(t, last, 3*time.Second))
		require.ErrorIs(t, q.Wait(t.Context(), 5), gatewayqueue.ErrExhausted)
		status, err := q.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 20, status.Budget.Remaining, "the reserve is left")
	})
}

// The reserve is a part of the total, which another pod may have changed.
func TestReserve_OfTheTotalInForce(t *testing.T) {
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		limit := gatewayqueue.SessionStartLimit{Total: 100, Remaining: 100, MaxConcurrency: 1}
		q := open(t, client, redisqueue.WithLimit(limit), redisqueue.WithFreshStart(), redisqueue.WithFailExhausted())
		require.NoError(t, q.Wait(t.Context(), 0))
		other := open(t, client, redisqueue.WithLimit(limit))
		require.NoError(t, other.Update(t.Context(), gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 12, ResetAfter: time.Hour, MaxConcurrency: 1}))
		n := 0
		for q.Wait(t.Context(), n+1) == nil {
			n++
		}
		assert.Equal(t, 2, n, "10 of 1000 are not granted")
	})
}

// A grant that nobody has heard of is paid, also if Discord is asked before it is
// given again.
func TestOutages_ARefreshMakesNobodyPayTwice(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		var identified, asked atomic.Int64
		reset := time.Now().Add(10 * time.Hour)
		source := func(context.Context) (gatewayqueue.SessionStartLimit, error) {
			asked.Add(1)
			return gatewayqueue.SessionStartLimit{Total: 100, Remaining: 90 - int(identified.Load()), ResetAfter: time.Until(reset), MaxConcurrency: 1}, nil
		}
		opts := []redisqueue.Option{redisqueue.WithLimitSource(source), redisqueue.WithFreshStart(), redisqueue.WithRefresh(time.Minute), redisqueue.WithBackoff(0)}
		lost, cut := new(deaf), virtualClient(t, server)
		cut.AddHook(perCommand{lost})
		q, other := open(t, cut, opts...), open(t, client, opts...)
		require.NoError(t, q.Wait(t.Context(), 0))
		identified.Add(1)
		time.Sleep(10 * time.Second)
		lost.once()
		done := ask(t.Context(), q, 1)
		time.Sleep(10 * time.Second)
		for range 15 {
			require.NoError(t, other.Wait(t.Context(), 2))
			identified.Add(1)
			time.Sleep(2 * time.Second) // so that a beat comes while it waits
		}
		require.Greater(t, asked.Load(), int64(1))
		lost.set(nil)
		require.NoError(t, answered(t, done, time.Minute))
		identified.Add(1)
		status, err := other.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 90-identified.Load(), int64(status.Budget.Remaining))
	})
}

// Whichever keys are deleted, or evicted, right after a grant: the next one is a
// window later. The slot and opens are two witnesses of when a bucket opens, and
// limits say that opens was there.
func TestLostKeys_TheWindowIsKept(t *testing.T) {
	keys := []string{"slot:0", "opens", "remaining", "spent", "limits", "out", "pods", "queue:0", "backoffs", "holds"}
	pairs := [][]string{keys} // all of them
	for i := range keys {
		for j := range i + 1 {
			pairs = append(pairs, []string{keys[i], keys[j]})
		}
	}
	for _, lost := range pairs {
		for _, permit := range []bool{false, true} {
			t.Run(fmt.Sprint(lost, permit), func(t *testing.T) {
				within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
					limit := redisqueue.WithLimit(full(1))
					known, other := open(t, client, limit, redisqueue.WithFreshStart()), open(t, client, limit)
					require.NoError(t, other.Wait(t.Context(), 2))
					if permit {
						p, err := known.Acquire(t.Context(), 0)
						require.NoError(t, err)
						require.NoError(t, p.Identified(t.Context()))
					} else {
						require.NoError(t, known.Wait(t.Context(), 0))
					}
					identified := time.Now()
					for _, key := range lost {
						server.Del(at + key)
					}
					young := open(t, client, limit)
					first := make(chan error, 2)
					for i, q := range []*redisqueue.RedisQueue{other, young} {
						go func() { first <- q.Wait(t.Context(), 3+i) }()
					}
					require.NoError(t, <-first)
					require.GreaterOrEqual(t, time.Since(identified), gatewayqueue.IdentifyDelay)
					next := time.Now()
					require.NoError(t, <-first)
					require.GreaterOrEqual(t, time.Since(next), gatewayqueue.IdentifyDelay)
				})
			})
		}
	}
}
