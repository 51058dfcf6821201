package redisqueue_test

// Several calls that are for one grant: paid once, at whatever pod.

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

func remaining(t *testing.T, q *redisqueue.RedisQueue) int {
	t.Helper()
	status, err := q.Status(t.Context())
	require.NoError(t, err)
	return status.Budget.Remaining
}

func TestWaitAs_AGrantThatIsLostIsPaidOnce(t *testing.T) {
	for _, pause := range []time.Duration{0, time.Second, 7 * time.Second, 30 * time.Second, 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			a, b := twoPods(t, 1)
			require.NoError(t, a.WaitAs(t.Context(), 0, gatewayqueue.Visit{Wait: "one"}))
			left := remaining(t, a)
			time.Sleep(pause)
			require.NoError(t, b.WaitAs(t.Context(), 0, gatewayqueue.Visit{Wait: "one"}), "the answer was lost on its way")
			assert.Equal(t, left, remaining(t, a))
			require.NoError(t, b.WaitAs(t.Context(), 0, gatewayqueue.Visit{Wait: "two"}))
			assert.Equal(t, left-1, remaining(t, a))
		})
	}
}

func TestAcquireAs_APermitThatIsLostIsPaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoPods(t, 1)
		permit, err := a.AcquireAs(t.Context(), 0, gatewayqueue.Visit{Wait: "one"})
		require.NoError(t, err)
		_, err = a.Export(permit) // its record is lost
		require.NoError(t, err)
		left := remaining(t, a)
		again, err := b.AcquireAs(t.Context(), 0, gatewayqueue.Visit{Wait: "one"})
		require.NoError(t, err)
		assert.Equal(t, left, remaining(t, a))
		record, err := b.Export(again)
		require.NoError(t, err)
		imported, err := a.Import(record)
		require.NoError(t, err)
		require.NoError(t, renew(t, imported))
		require.NoError(t, imported.Identified(t.Context()))
		_, err = a.AcquireAs(t.Context(), 0, gatewayqueue.Visit{Wait: "one"})
		require.ErrorIs(t, err, gatewayqueue.ErrPermitSettled)
		require.ErrorIs(t, err, gatewayqueue.ErrPermitExpired)
		assert.Equal(t, left, remaining(t, a))
	})
}

func TestImport_ToldApartSettledFromLapsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoPods(t, 2)
		export := func(shard int) gatewayqueue.Permit {
			permit, err := a.Acquire(t.Context(), shard)
			require.NoError(t, err)
			record, err := a.Export(permit)
			require.NoError(t, err)
			imported, err := b.Import(record)
			require.NoError(t, err)
			return imported
		}
		used, lapsed := export(0), export(1)
		require.NoError(t, used.Identified(t.Context()))
		require.ErrorIs(t, renew(t, used), gatewayqueue.ErrPermitSettled)
		time.Sleep(11 * time.Second)
		err := renew(t, lapsed)
		require.ErrorIs(t, err, gatewayqueue.ErrPermitExpired)
		require.NotErrorIs(t, err, gatewayqueue.ErrPermitSettled)
		unused := export(0)
		require.NoError(t, unused.Abandon(t.Context()))
		require.ErrorIs(t, renew(t, unused), gatewayqueue.ErrPermitSettled)
	})
}

// A caller that leaves one pod for another: what the first gives up is not what
// the second was granted.
func TestWaitAs_ACallThatLeavesTakesNothingFromTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoPods(t, 1)
		require.NoError(t, a.Wait(t.Context(), 9))
		for n := range 5 {
			var since time.Time
			wait := "wait-" + string(rune('a'+n))
			require.Error(t, a.WaitAs(t.Context(), n, gatewayqueue.Visit{Wait: wait, Placed: func(at time.Time) bool { since = at; return false }}))
			before := remaining(t, b)
			require.NoError(t, b.WaitAs(t.Context(), n, gatewayqueue.Visit{Wait: wait, Since: since}))
			synctest.Wait()
			assert.Equal(t, before-1, remaining(t, b))
		}
		status, err := a.Status(t.Context())
		require.NoError(t, err)
		assert.Zero(t, status.Waiting())
	})
}

// What a pod gives back that nobody took is whole again, also for the same wait.
func TestAcquireAs_WhatIsGivenBackIsPaidAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoPods(t, 1)
		require.NoError(t, a.Wait(t.Context(), 1))
		before := remaining(t, a)
		permit, err := a.AcquireAs(t.Context(), 0, gatewayqueue.Visit{Wait: "one"})
		require.NoError(t, err)
		require.NoError(t, permit.Abandon(t.Context())) // the client has hung up
		assert.Equal(t, before, remaining(t, a))
		start := time.Now()
		_, err = b.AcquireAs(t.Context(), 0, gatewayqueue.Visit{Wait: "one"})
		require.NoError(t, err)
		assert.Less(t, time.Since(start), time.Second, "the bucket was open")
		assert.Equal(t, before-1, remaining(t, a))
	})
}

func TestRemember_FirstAndLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoPods(t, 1)
		say := func(q *redisqueue.RedisQueue, value string, keep time.Duration, replace bool, want string, left time.Duration) {
			t.Helper()
			got, yet, err := q.Remember(t.Context(), "name", value, keep, replace)
			require.NoError(t, err)
			assert.Equal(t, want, got)
			assert.InDelta(t, left, yet, float64(10*time.Millisecond))
		}
		say(a, "", 0, false, "", -2*time.Millisecond)
		say(a, "x", time.Minute, false, "x", time.Minute)
		say(b, "y", time.Hour, false, "x", time.Minute)
		time.Sleep(10 * time.Second)
		say(b, "z", time.Hour, true, "z", 50*time.Second)
		time.Sleep(50 * time.Second)
		say(a, "", 0, false, "", -2*time.Millisecond)
		say(a, "w", 0, false, "w", -time.Millisecond)
	})
}
