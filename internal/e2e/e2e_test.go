// What happens to a fleet in its life, one thing after the other, and what the
// gateway says to it.

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
)

// fleetPlan is 48 shards in 3 pods, ten times as fast as Discord.
func fleetPlan(library string) plan {
	return plan{
		library: library, limiter: limiterPermits, window: 500 * time.Millisecond, pods: 3, shards: 48,
		limit: gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, ResetAfter: time.Hour, MaxConcurrency: 4},
	}
}

func TestDisgoFleetLivesWithoutAViolation(t *testing.T)     { t.Parallel(); live(t, "disgo") }
func TestDiscordgoFleetLivesWithoutAViolation(t *testing.T) { t.Parallel(); live(t, "discordgo") }

func live(t *testing.T, library string) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	f := newFleet(t, fleetPlan(library))
	judge := f.gateway.Judge()
	start := time.Now()
	lap := func(what string) {
		t.Logf("%5.1f s %s: %v", time.Since(start).Seconds(), what, judge.Verdict())
	}

	f.allReady(ctx, t)
	lap("cold start")
	f.assertIdentifies(t, f.shards)
	f.assertPaid(ctx, t, 0)

	require.Equal(t, f.shards, f.gateway.Reconnect())
	f.allReady(ctx, t)
	lap("op 7 to all")
	assert.Equal(t, f.shards, f.gateway.Resumes(), "all resumed")
	f.assertIdentifies(t, f.shards) // and none identified
	f.assertPaid(ctx, t, 0)

	f.gateway.Restart()
	f.allReady(ctx, t)
	lap("restart of all gateways")
	f.assertIdentifies(t, 2*f.shards)
	f.assertPaid(ctx, t, 0)

	for i, p := range f.pods {
		p.close(t)
		f.allGone(ctx, t, p.shards)
		f.replace(t, i)
		f.allReady(ctx, t)
	}
	lap("rolling restart of the pods")
	f.assertIdentifies(t, 3*f.shards)
	f.assertPaid(ctx, t, 0)

	// A pod dies in the midst of the next restart, with shards that wait and
	// shards that hold permits.
	f.gateway.Restart()
	f.identifies(ctx, t, 3*f.shards+f.shards/4)
	f.pods[1].kill(t)
	f.replace(t, 1)
	f.allReady(ctx, t)
	lap("restart of all gateways, and a pod killed")
	f.assertPaid(ctx, t, f.limit.MaxConcurrency) // what the dead pod held is spent, used or not

	lap("the end")
	verdict := judge.Verdict()
	assert.Equal(t, f.machine(t), verdict.Violations, "%v", verdict) // 0, as a rule
	assert.Zero(t, verdict.OverBudget, "%v", verdict)
	assert.Zero(t, f.gateway.Stats().Disasters)
	for _, p := range f.pods {
		p.close(t)
	}
}

// assertIdentifies checks that there were n identifies, and one more for each
// that the machine brought too late.
func (f *fleet) assertIdentifies(t *testing.T, n int) {
	t.Helper()
	assert.Equal(t, n+f.machine(t), f.gateway.Judge().Verdict().Identifies)
}

// assertPaid checks that each identify took one unit, that nothing else took
// one, resumes least of all, and that at most lost units went with dead pods.
func (f *fleet) assertPaid(ctx context.Context, t *testing.T, lost int) {
	t.Helper()
	identifies := f.gateway.Judge().Verdict().Identifies
	spent := f.spent(ctx, t)
	assert.GreaterOrEqual(t, spent, identifies)
	assert.LessOrEqual(t, spent, identifies+lost)
}
