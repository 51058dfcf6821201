package gatewayqueue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
)

func TestInMemory_TheCallsOfOneWaitArePaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := gatewayqueue.NewInMemory(gatewayqueue.SessionStartLimit{Total: 3, Remaining: 3, MaxConcurrency: 1})
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
