package sim_test

import (
	"os"
	"strconv"
	"strings"
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
	runs, identifies, calls := 0, 0, 0
	for start := time.Now(); runs < 1 || time.Since(start) < budget; seed++ {
		v := sim.Run(seed)
		runs, identifies, calls = runs+1, identifies+v.Identifies, calls+v.Calls
		for p, n := range v.Reached {
			reached[p] += n
		}
		require.Empty(t, v.Broken, "seed %d:\n%s", seed, strings.Join(v.Story, "\n"))
	}
	t.Logf("%d schedules, %d identifies, %d calls", runs, identifies, calls)
	for _, p := range sim.Points {
		t.Logf("%6d %s", reached[p], p)
		if runs > 500 {
			assert.Positive(t, reached[p], "%s: not once in %d schedules", p, runs)
		}
	}
}

func TestRun_IsTheSameForASeed(t *testing.T) {
	for seed := range uint64(5) {
		first, second := sim.Run(seed), sim.Run(seed)
		require.Equal(t, first.Story, second.Story)
		require.Equal(t, first.Calls, second.Calls)
	}
}
