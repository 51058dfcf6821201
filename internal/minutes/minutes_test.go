package minutes_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/minutes"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func minute(at time.Duration, granted, left int, wait time.Duration) gatewayqueue.Minute {
	m := gatewayqueue.Minute{Start: noon.Add(at), Granted: granted, Returned: 1, Remaining: left, Total: 1000, Waits: make(gatewayqueue.Waits)}
	for range granted {
		m.Waits.Add(wait)
	}
	return m
}

func TestBy_AddsUpWhatIsOfOneSpan(t *testing.T) {
	unknown := minute(8*time.Minute, 3, 0, time.Second)
	unknown.Remaining, unknown.Total, unknown.Unknown = 0, 0, true
	spans := minutes.By([]gatewayqueue.Minute{
		minute(0, 1, 999, time.Second), minute(7*time.Minute, 3, 996, time.Minute), unknown, minute(31*time.Minute, 2, 991, time.Second),
	}, 10*time.Minute)
	require.Len(t, spans, 2)
	assert.True(t, spans[0].Start.Equal(noon))
	assert.Equal(t, 7, spans[0].Granted)
	assert.Equal(t, 3, spans[0].Returned)
	assert.Equal(t, 996, spans[0].Remaining, "the last that was known")
	assert.False(t, spans[0].Unknown)
	assert.InEpsilon(t, time.Second, spans[0].P50, 0.123, "four of seven")
	assert.InEpsilon(t, time.Minute, spans[0].P99, 0.123)
	assert.True(t, spans[1].Start.Equal(noon.Add(30*time.Minute)))
	assert.Empty(t, minutes.By(nil, time.Hour))
}

func TestSum_IsOfAll(t *testing.T) {
	sum := minutes.Sum([]gatewayqueue.Minute{minute(0, 1, 999, time.Second), minute(7*time.Minute, 3, 996, time.Minute)})
	assert.Equal(t, 4, sum.Granted)
	assert.Equal(t, 4, sum.Waits.Count())
	assert.Equal(t, 996, sum.Remaining)
	assert.InEpsilon(t, time.Minute, sum.P50, 0.123)
	none := minutes.Sum(nil)
	assert.True(t, none.Unknown)
	assert.Zero(t, none.P99)
}
