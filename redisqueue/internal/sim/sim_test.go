package sim_test

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/sim"
)

// GATEWAYQUEUE_SIM_FOR is for how long schedules are searched, such as 10m; some
// seconds by default. GATEWAYQUEUE_SIM_SEED is the first of them.
func TestSchedules_BreakNoRule(t *testing.T) {
	budget, seed := 3*time.Second, uint64(1)
	if text := os.Getenv("GATEWAYQUEUE_SIM_FOR"); text != "" {
		var err error
		budget, err = time.ParseDuration(text)
		require.NoError(t, err)
	}
	if text := os.Getenv("GATEWAYQUEUE_SIM_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		seed = n
	}
	reached := make(map[sim.Point]int)
	runs, identifies, calls, broken, simulated := 0, 0, 0, 0, time.Duration(0)
	for start := time.Now(); runs < 1 || time.Since(start) < budget; seed++ {
		v := sim.Run(seed)
		runs, identifies, calls, simulated = runs+1, identifies+v.Identifies, calls+v.Calls, simulated+v.Simulated
		for p, n := range v.Reached {
			reached[p] += n
		}
		if v.Broken != "" {
			if broken++; broken <= 3 {
				t.Error(sim.Explain(seed, nil))
			} else {
				t.Errorf("seed %d breaks the rule %q: %s", seed, v.Broken, v.How)
			}
		}
	}
	t.Logf("%d schedules of %v, %d broke a rule; %d identifies, %d calls", runs, simulated.Round(time.Second), broken, identifies, calls)
	for _, p := range sim.Points {
		t.Logf("%6d %s", reached[p], p)
		if runs > 2000 {
			assert.Positive(t, reached[p], "%s: not once in %d schedules", p, runs)
		}
	}
}

func TestRun_IsTheSameForASeed(t *testing.T) {
	for seed := range uint64(5) {
		first, second := sim.Tell(seed), sim.Tell(seed)
		require.Equal(t, first.Story, second.Story)
		require.Equal(t, first.Calls, second.Calls)
	}
}
