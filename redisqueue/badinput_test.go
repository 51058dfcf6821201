package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

const at = "identify:{default}:"

// within runs a test in virtual time, with a server and one client of it.
func within(t *testing.T, f func(t *testing.T, server *miniredis.Miniredis, client *redis.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server := virtualRedis(t)
		f(t, server, virtualClient(t, server))
	})
}

// fresh are options for virtual time: real windows, and open at once.
func fresh(mc int, more ...redisqueue.Option) []redisqueue.Option {
	return append([]redisqueue.Option{redisqueue.WithLimit(full(mc)), redisqueue.WithFreshStart(), redisqueue.WithReserve(0)}, more...)
}

func TestAKeyOfTheWrongTypeIsNamedToEveryWaiter(t *testing.T) {
	for _, key := range []string{"limits", "remaining", "slot:0", "queue:0", "spent", "pods", "opens"} {
		t.Run(key, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				q := open(t, client, fresh(1)...)
				require.NoError(t, q.Wait(t.Context(), 0))
				server.Del(at + key)
				if key == "slot:0" || key == "remaining" {
					_, err := server.Lpush(at+key, "x")
					require.NoError(t, err)
				} else {
					require.NoError(t, server.Set(at+key, "x"))
				}
				first, second := ask(t.Context(), q, 1), ask(t.Context(), q, 2)
				for _, err := range []error{<-first, <-second} {
					require.ErrorContains(t, err, "a key under "+at+" holds another type; is the application ID used by something else?")
					require.ErrorContains(t, err, "WRONGTYPE")
				}
				server.Del(at + key)
				require.NoError(t, q.Wait(t.Context(), 3), "once the key is gone")
			})
		})
	}
}

func TestValuesEditedToNonsenseAreNamed(t *testing.T) {
	for _, c := range []struct{ key, field, value string }{
		{"remaining", "", "abc"}, {"remaining", "", "1.5"}, {"remaining", "", ""},
		{"limits", "max_concurrency", "0"}, {"limits", "max_concurrency", "-1"}, {"limits", "max_concurrency", "1.5"},
		{"limits", "max_concurrency", "99999"}, {"limits", "max_concurrency", "many"}, {"limits", "total", "abc"},
		{"limits", "total", "-1"}, {"limits", "seq", "x"}, {"limits", "reset_at", "tomorrow"}, {"limits", "period", "x"}, {"limits", "closed_until", "x"},
		{"spent", "1", "x"}, {"opens", "0", "x"},
	} {
		t.Run(c.key+" "+c.field+" "+c.value, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				q := open(t, client, fresh(1)...)
				require.NoError(t, q.Wait(t.Context(), 0))
				time.Sleep(6 * time.Second)
				if c.field == "" {
					require.NoError(t, server.Set(at+c.key, c.value))
				} else {
					server.HSet(at+c.key, c.field, c.value)
				}
				newcomer := open(t, client, fresh(1)...)
				named := strings.TrimSuffix(at+c.key+" "+c.field, " ")
				s, err := q.Status(t.Context())
				require.NoError(t, err)
				require.Contains(t, s.Store.Error, fmt.Sprintf("%s is %q, which cannot be used: want ", named, c.value))
				require.Contains(t, s.Store.Cure, "'"+at+c.key+"'")
				require.Equal(t, gatewayqueue.ReasonStore, s.Blocked()[0].Reason)
				for _, q := range []gatewayqueue.Queue{q, newcomer} {
					err := q.Wait(t.Context(), 1)
					require.ErrorIs(t, err, redisqueue.ErrBadValue)
					require.ErrorContains(t, err, named+": want ")
					require.ErrorContains(t, err, ": correct it with redis-cli")
				}
				if c.key == "limits" || c.key == "remaining" {
					require.NoError(t, q.Update(t.Context(), full(1)), "Update repairs it")
				} else {
					server.HDel(at+c.key, c.field)
				}
				require.NoError(t, newcomer.Wait(t.Context(), 1))
			})
		})
	}
}

func TestABudgetEditedByHandIsTakenAsItIs(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		q := open(t, client, fresh(1, redisqueue.WithFailExhausted())...)
		require.NoError(t, q.Wait(t.Context(), 0))
		reset := server.TTL(at + "remaining")
		require.NoError(t, server.Set(at+"remaining", "2")) // its TTL is gone
		require.NoError(t, q.Wait(t.Context(), 1))
		require.InDelta(t, reset.Seconds(), server.TTL(at+"remaining").Seconds(), 10, "the TTL is back")
		require.NoError(t, q.Wait(t.Context(), 2))
		require.ErrorIs(t, q.Wait(t.Context(), 3), gatewayqueue.ErrExhausted)
		require.NoError(t, server.Set(at+"remaining", "-5"))
		require.ErrorIs(t, q.Wait(t.Context(), 3), gatewayqueue.ErrExhausted)
		require.NoError(t, server.Set(at+"remaining", "1"))
		require.NoError(t, q.Wait(t.Context(), 3))
	})
}

func TestTwoPodsWithDifferentMaxConcurrency(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		q := open(t, client, fresh(2)...)
		require.NoError(t, q.Wait(t.Context(), 0))
		other := open(t, client, fresh(3)...)
		err := other.Wait(t.Context(), 1)
		require.ErrorIs(t, err, redisqueue.ErrLimitMismatch)
		require.ErrorContains(t, err, "WithLimit gave 3, the queue in Redis runs with 2; give every pod the same, use WithLimitSource, or call Update to change it for all")
		require.NoError(t, q.Wait(t.Context(), 1), "the first is not disturbed")
		require.NoError(t, q.Update(t.Context(), full(3)))
		require.NoError(t, other.Wait(t.Context(), 2), "once they agree")
	})
}

func TestAContextThatHasEndedAsksNobody(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		hook := new(away)
		client.AddHook(perCommand{hook})
		q := open(t, client, fresh(1)...)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("shutting down"))
		err := q.Wait(ctx, 0)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorContains(t, err, "shutting down")
		_, err = q.Acquire(ctx, 0)
		require.ErrorIs(t, err, context.Canceled)
		require.Zero(t, hook.calls())
		require.Empty(t, server.Keys())
	})
}

func TestCloseEndsEveryWait(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		q := open(t, client, fresh(2)...)
		require.NoError(t, q.Wait(t.Context(), 0))
		permit, err := q.Acquire(t.Context(), 1)
		require.NoError(t, err)
		var waiters []<-chan error
		for shard := 2; shard < 10; shard++ {
			waiters = append(waiters, ask(t.Context(), q, shard))
		}
		synctest.Wait()
		require.NoError(t, q.Close())
		require.NoError(t, q.Close(), "again")
		for _, waiter := range waiters {
			require.ErrorIs(t, <-waiter, gatewayqueue.ErrClosed)
		}
		require.ErrorIs(t, q.Wait(t.Context(), 0), gatewayqueue.ErrClosed)
		_, err = q.Acquire(t.Context(), 0)
		require.ErrorIs(t, err, gatewayqueue.ErrClosed)
		require.ErrorIs(t, q.Update(t.Context(), full(1)), gatewayqueue.ErrClosed)
		_, err = q.Status(t.Context())
		require.ErrorIs(t, err, gatewayqueue.ErrClosed)
		require.False(t, server.Exists(at+"queue:0") || server.Exists(at+"queue:1"), "no place is left")
		require.False(t, server.Exists(at+"pods"))
		require.NoError(t, permit.Identified(t.Context()), "a permit outlives Close")
		holder, err := server.Get(at + "slot:1")
		require.NoError(t, err)
		require.NotContains(t, holder, "permit")
	})
}

func TestCloseBeforeAnythingAsksNobody(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		hook := new(away)
		client.AddHook(perCommand{hook})
		require.NoError(t, open(t, client).Close())
		require.Zero(t, hook.calls())
	})
}

func TestUpdateRefusesLimitsOutOfRange(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		q := open(t, client, fresh(1)...)
		for text, limit := range map[string]gatewayqueue.SessionStartLimit{
			"max_concurrency is 0: want 1 to 4096 in a shared queue":    {Total: 1, Remaining: 1},
			"max_concurrency is 4097: want 1 to 4096 in a shared queue": {Total: 1, Remaining: 1, MaxConcurrency: 4097},
			"remaining is 2: want at most total, 1":                     {Total: 1, Remaining: 2, MaxConcurrency: 1},
			"total is -1: want 0 or more":                               {Total: -1, MaxConcurrency: 1},
			"total is 1000000000000000: want at most 999999999999999":   {Total: 1e15, MaxConcurrency: 1},
		} {
			err := q.Update(t.Context(), limit)
			require.ErrorIs(t, err, gatewayqueue.ErrInvalid)
			require.ErrorContains(t, err, text)
		}
		require.Empty(t, server.Keys())
	})
}

func TestANegativeShardIsRefused(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		err := open(t, client, fresh(1)...).Wait(t.Context(), -1)
		require.ErrorIs(t, err, gatewayqueue.ErrInvalid)
		require.ErrorContains(t, err, "shard ID is -1: want 0 or more")
	})
}

func TestARedisThatIsAwayIsNoError(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		hook, log := new(away), newLogbook()
		client.AddHook(perCommand{hook})
		refused := errors.New("dial tcp 127.0.0.1:6379: connect: connection refused")
		hook.set(refused)
		q := open(t, client, fresh(1, log.option())...)
		waiter := ask(t.Context(), q, 0)
		ctx, cancel := context.WithTimeoutCause(t.Context(), 10*time.Second, errors.New("the pod is too slow"))
		defer cancel()
		err := q.Wait(ctx, 1)
		require.ErrorContains(t, err, "the pod is too slow")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, refused)
		waitsOn(t, waiter, 20*time.Second)
		require.Less(t, hook.calls(), 60, "it asks at most about once a second")
		hook.set(nil)
		require.NoError(t, answered(t, waiter, 8*time.Second))
		synctest.Wait() // the log comes after the grant
		require.Equal(t, 1, log.said("Redis is unavailable"), log.all())
		require.Equal(t, 1, log.said("Redis answers again"), log.all())

		time.Sleep(time.Minute)
		hook.set(refused)
		waiter = ask(t.Context(), q, 0)
		waitsOn(t, waiter, 20*time.Second)
		hook.set(nil)
		require.NoError(t, answered(t, waiter, 8*time.Second))
		synctest.Wait() // the log comes after the grant
		require.Equal(t, 2, log.said("Redis is unavailable"), log.all())
		require.Equal(t, 2, log.said("Redis answers again"), log.all())
	})
}

// A person who closes all buckets by hand may write any year.
func TestAHoldWithoutEndIsShownAsOne(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		q := open(t, client, fresh(1)...)
		require.NoError(t, q.Wait(t.Context(), 0))
		server.HSet(at+"limits", "closed_until", "253402300799000") // the end of 9999
		status, err := q.Status(t.Context())
		require.NoError(t, err)
		require.Greater(t, status.Hold, 24*time.Hour)
		require.Equal(t, status.Hold, status.Buckets[0].Closed)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		require.ErrorIs(t, q.Wait(ctx, 1), context.DeadlineExceeded)
		require.Less(t, time.Since(start), time.Second, "it need not wait to know")
	})
}
