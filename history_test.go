package gatewayqueue_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gatewayqueue/gatewayqueue"
)

// exactly is the quantile of all waits: the least that so many of them do not exceed.
func exactly(waits []time.Duration, part float64) time.Duration {
	sorted := slices.Clone(waits)
	slices.Sort(sorted)
	return sorted[max(1, int(math.Ceil(part*float64(len(sorted)))))-1]
}

// near says whether a quantile is as exact as its doc says.
func near(t require.TestingT, exact, got time.Duration) {
	const least, most = 1 - 0.123, 1 + 0.123
	if diff := (exact - got).Abs(); diff > time.Millisecond {
		ratio := float64(got) / float64(exact)
		assert.True(t, ratio >= least && ratio <= most, "it is %v, and said to be %v", exact, got)
	}
}

func TestWaits_OfSeveralPodsAddUpToTheQuantilesOfAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// As many short waits as long ones, from nothing to a day.
		wait := rapid.Custom(func(t *rapid.T) time.Duration {
			return time.Duration(math.Exp(rapid.Float64Range(0, math.Log(float64(24*time.Hour))).Draw(t, "wait")))
		})
		all, sum := []time.Duration{}, make(gatewayqueue.Waits)
		for _, pod := range rapid.SliceOfN(rapid.SliceOfN(wait, 1, 100), 1, 8).Draw(t, "pods") {
			own := make(gatewayqueue.Waits)
			for _, d := range pod {
				own.Add(d)
			}
			require.Equal(t, len(pod), own.Count())
			sum.Merge(own)
			all = append(all, pod...)
		}
		require.Equal(t, len(all), sum.Count())
		for _, part := range []float64{0, 0.5, 0.9, 0.99, 1} {
			near(t, exactly(all, part), sum.Quantile(part))
		}
	})
}

func TestWaits_AtTheirEnds(t *testing.T) {
	for wait, want := range map[time.Duration]time.Duration{
		0: time.Millisecond, time.Microsecond: time.Millisecond, time.Millisecond: time.Millisecond,
		24 * time.Hour: 0, 2 * time.Millisecond: 0, 5250 * time.Millisecond: 0,
	} {
		w := make(gatewayqueue.Waits)
		w.Add(wait)
		if want == 0 {
			near(t, wait, w.Quantile(0.5))
			continue
		}
		assert.Equal(t, want, w.Quantile(0.5), wait)
	}
	long := make(gatewayqueue.Waits)
	long.Add(1000 * time.Hour)
	assert.Greater(t, long.Quantile(0.99), 25*time.Hour, "longer than a day is longer than a day")
	assert.Zero(t, make(gatewayqueue.Waits).Quantile(0.5), "nobody has waited")
	assert.Zero(t, gatewayqueue.Waits(nil).Count())
}
