package memqueue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

func TestQueue_TheCallsOfOneWaitArePaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := memqueue.New(gatewayqueue.SessionStartLimit{Total: 3, Remaining: 3, MaxConcurrency: 1})
		require.NoError(t, err)
		left := func() int {
			s, err := q.Status(t.Context())
			require.NoError(t, err)
			return s.Budget.Remaining
		}
		one := gatewayqueue.Visit{Wait: "one"}
		require.NoError(t, q.WaitAs(t.Context(), 0, one))
		require.NoError(t, q.WaitAs(t.Context(), 0, one), "after its window")
		assert.Equal(t, 2, left())
		p, err := q.AcquireAs(t.Context(), 0, one)
		require.NoError(t, err)
		require.NoError(t, p.Abandon(t.Context()))
		assert.Equal(t, 2, left(), "what it gives back was not its own")
		two := gatewayqueue.Visit{Wait: "two"}
		p, err = q.AcquireAs(t.Context(), 0, two)
		require.NoError(t, err)
		assert.Equal(t, 1, left())
		require.NoError(t, p.Abandon(t.Context()))
		assert.Equal(t, 2, left())
		_, err = q.AcquireAs(t.Context(), 0, two)
		require.NoError(t, err)
		assert.Equal(t, 1, left(), "it had given back what it paid")
		time.Sleep(10 * time.Minute) // nobody has used it
		require.NoError(t, q.Wait(t.Context(), 0))
		assert.Zero(t, left())
		start := time.Now()
		require.NoError(t, q.WaitAs(t.Context(), 0, two))
		assert.Less(t, time.Since(start), time.Minute, "it has paid, so it waits for no reset")
		require.NoError(t, q.WaitAs(t.Context(), 0, gatewayqueue.Visit{Wait: "three"}))
		assert.Greater(t, time.Since(start), 23*time.Hour)
		assert.Equal(t, 2, left())
		require.NoError(t, q.WaitAs(t.Context(), 0, one))
		assert.Equal(t, 1, left(), "another period has paid for the first")
	})
}

func TestQueue_APeriodBeginsWithTheCallThatIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := memqueue.New(gatewayqueue.SessionStartLimit{Total: 20, Remaining: 20, MaxConcurrency: 1})
		require.NoError(t, err)
		one := gatewayqueue.Visit{Wait: "one"}
		require.NoError(t, q.WaitAs(t.Context(), 0, one)) // nobody hears of it
		time.Sleep(50 * time.Minute)
		require.NoError(t, q.WaitAs(t.Context(), 0, one))
		s, err := q.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, time.Now().Add(gatewayqueue.GrantMargin+gatewayqueue.LimitPeriod), s.Budget.Reset)
		assert.Equal(t, 19, s.Budget.Remaining)
	})
}

// Figures of another period know nothing of a grant that was not used.
func TestQueue_FiguresOfAnotherPeriodHavePaidForNoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := memqueue.New(gatewayqueue.SessionStartLimit{Total: 20, Remaining: 10, ResetAfter: time.Hour, MaxConcurrency: 1})
		require.NoError(t, err)
		one := gatewayqueue.Visit{Wait: "one"}
		require.NoError(t, q.WaitAs(t.Context(), 0, one))
		time.Sleep(time.Minute)
		require.NoError(t, q.Update(t.Context(), gatewayqueue.SessionStartLimit{Total: 20, Remaining: 15, ResetAfter: 20 * time.Hour, MaxConcurrency: 1}))
		require.NoError(t, q.WaitAs(t.Context(), 0, one))
		s, err := q.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 14, s.Budget.Remaining)
	})
}
