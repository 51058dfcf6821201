package faults

// Exactly once: what lost replies cost, beside what they cost without a queue.

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lossyPlan brings up shards that behave well, while one reply of ten is lost
// after its command was executed.
func lossyPlan(queue string, mute float64, shards int) plan {
	p := quiet(7)
	p.Queue, p.Calm, p.Once, p.Waits = queue, true, true, 1
	p.Pods, p.Shards, p.LoseReplies, p.Mute = 4, shards, 0.1, mute
	p.Limit.MaxConcurrency = naiveBuckets
	p.Source = false
	return p
}

func TestATenthOfTheRepliesLostCostsNoUnitAndNoWindow(t *testing.T) {
	for name, mute := range map[string]float64{"Closed": 0, "Silent": 1} {
		for _, waits := range []float64{0, 1} {
			t.Run(name+map[float64]string{0: "Acquire", 1: "Wait"}[waits], func(t *testing.T) {
				t.Parallel()
				p := lossyPlan("redis", mute, 24)
				p.Waits = waits
				v := check(t, p)
				assert.Equal(t, v.Identifies, v.Units, "units spent are identifies")
				assert.GreaterOrEqual(t, v.LeastGap, p.Window)
			})
		}
	}
}

// The suite finds what is wrong with what people do instead.
func TestTheNaiveScriptLosesUnits(t *testing.T) {
	t.Parallel()
	v := naiveRun(t, "naive", 0, func(v verdict) bool { return v.Unused > 0 })
	assert.Positive(t, v.Unused, "units that nobody used: %v", v)
}

func TestTheScriptWithATokenLosesTheWindow(t *testing.T) {
	t.Parallel()
	v := naiveRun(t, "token", 1, func(v verdict) bool { return len(v.Violations) > 0 })
	assert.NotEmpty(t, v.Violations, "identifies within a window: %v", v)
}

// naiveRun tries until the lost replies have hit where it hurts; not every run
// has that.
func naiveRun(t *testing.T, queue string, mute float64, hurt func(verdict) bool) (v verdict) {
	if !supported {
		t.Skip("the fault suite needs Linux")
	}
	for range 10 {
		p := lossyPlan(queue, mute, 24)
		p.Limit.Remaining = p.Limit.Total
		v = executeAfter(t, p, t.TempDir(), func(r *run) {
			require.NoError(t, r.admin.Set(context.Background(), naiveBudget, p.Limit.Remaining, 0).Err())
		})
		t.Log(v)
		if hurt(v) {
			break
		}
	}
	return v
}
