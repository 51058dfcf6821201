package dashboard

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
)

func TestHistory_IsTenMinutesToAColumnAndAnHourToARow(t *testing.T) {
	start := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	minute := func(at time.Duration, granted int, unknown bool) gatewayqueue.Minute {
		m := gatewayqueue.Minute{Start: start.Add(at), Granted: granted, Remaining: 900, Total: 1000, Waits: make(gatewayqueue.Waits)}
		if unknown {
			m.Remaining, m.Total, m.Unknown = 0, 0, true
		}
		for range granted {
			m.Waits.Add(time.Minute)
		}
		return m
	}
	h := historyOf([]gatewayqueue.Minute{minute(time.Minute, 3, false), minute(9*time.Minute, 2, true), minute(10*time.Minute, 1, true)})
	require.Len(t, h.Spans, 2)
	require.Len(t, h.Hours, 1)
	assert.Equal(t, []int{5, 1, 6, 6}, []int{h.Spans[0].Granted, h.Spans[1].Granted, h.Hours[0].Granted, h.Day.Granted})
	assert.Equal(t, 900, *h.Spans[0].Left)
	assert.Nil(t, h.Spans[1].Left)
	assert.InEpsilon(t, 60_000, h.Day.P99, 0.123)
	assert.Equal(t, start.UnixMilli(), h.Spans[0].At)
}

func TestHistory_IsAskedForSeldomAndKeptWhereItFails(t *testing.T) {
	asked, fails := 0, false
	b := New(nil, WithHistory(func(context.Context) ([]gatewayqueue.Minute, error) {
		asked++
		if fails {
			return nil, errors.New("away")
		}
		return []gatewayqueue.Minute{{Start: time.UnixMilli(0), Granted: asked}}, nil
	}))
	defer b.Close()
	look := func() bool {
		past := b.lookAtHistory(t.Context())
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.takeHistory(past)
	}
	assert.True(t, look())
	assert.False(t, look(), "it was asked for just now")
	assert.Equal(t, 1, asked)
	b.historyAt, fails = time.Time{}, true
	assert.False(t, look())
	assert.Contains(t, string(b.past), `"granted":1`)
	b.historyAt, fails = time.Time{}, false
	assert.True(t, look())
	assert.Contains(t, string(b.past), `"granted":3`)
}
