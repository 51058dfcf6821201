package memqueue_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

func TestHistory_IsOfTheMinutesThatAreOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events atomic.Int64
		q, err := memqueue.New(gatewayqueue.DefaultLimit(), memqueue.WithHistory(),
			memqueue.WithObserver(func(gatewayqueue.Event) { events.Add(1) }))
		require.NoError(t, err)
		began := time.Now().Truncate(time.Minute)
		require.NoError(t, q.Wait(t.Context(), 0))
		require.NoError(t, q.Wait(t.Context(), 1))
		permit, err := q.Acquire(t.Context(), 2)
		require.NoError(t, err)
		require.NoError(t, permit.Abandon(t.Context()))
		minutes, err := q.History(t.Context())
		require.NoError(t, err)
		require.Empty(t, minutes, "it goes on")
		time.Sleep(time.Minute)
		minutes, err = q.History(t.Context())
		require.NoError(t, err)
		require.Len(t, minutes, 1)
		m := minutes[0]
		assert.True(t, m.Start.Equal(began))
		assert.Equal(t, []int{3, 1, 998, 1000}, []int{m.Granted, m.Returned, m.Remaining, m.Total})
		assert.False(t, m.Unknown)
		assert.InEpsilon(t, 5250*time.Millisecond, m.P99, 0.123)
		assert.Positive(t, events.Load(), "the observer hears what it did")

		time.Sleep(time.Until(began.Add(gatewayqueue.HistoryMinutes*time.Minute + time.Second)))
		require.NoError(t, q.Wait(t.Context(), 3))
		time.Sleep(time.Minute)
		minutes, err = q.History(t.Context())
		require.NoError(t, err)
		require.Len(t, minutes, 1, "the 1441st minute drops the first")
		assert.True(t, minutes[0].Start.Equal(began.Add(gatewayqueue.HistoryMinutes*time.Minute)))

		ended, end := context.WithCancel(t.Context())
		end()
		_, err = q.History(ended)
		require.ErrorIs(t, err, context.Canceled)
		require.NoError(t, q.Close())
		_, err = q.History(t.Context())
		require.ErrorIs(t, err, gatewayqueue.ErrClosed)
	})
}

func TestHistory_IsEmptyByDefaultAndKnowsNoBudgetWithoutLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, options := range [][]memqueue.Option{nil, {memqueue.WithHistory()}} {
			q, err := memqueue.NewUnlimited(options...)
			require.NoError(t, err)
			require.NoError(t, q.Wait(t.Context(), 0))
			time.Sleep(time.Minute)
			minutes, err := q.History(t.Context())
			require.NoError(t, err)
			require.Len(t, minutes, len(options))
			for _, m := range minutes {
				assert.True(t, m.Unknown)
			}
			require.NoError(t, q.Close())
		}
	})
}
