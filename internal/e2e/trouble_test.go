// Permits that are not confirmed as they should be, with real bots and
// processes. What the queue itself does about them, package queuetest and
// redisqueue test: never confirmed, late, twice, after Close.

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// onePerPod is two shards of one bucket, each in a pod of its own.
func onePerPod(limiter string) plan {
	return plan{
		library: "disgo", limiter: limiter, window: 500 * time.Millisecond, pods: 1, shards: 2,
		limit: gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, ResetAfter: time.Hour, MaxConcurrency: 1},
	}
}

// Without the limiter's dialer IDENTIFY is confirmed at READY; the pod dies
// before that.
func TestAPodThatDiesBetweenIdentifyAndReadyLetsNobodyInEarly(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), readyTimeout)
	defer cancel()
	p := onePerPod(limiterAcquire)
	p.pods = 0
	f := newFleet(t, p, gatewaytest.WithReadyDelay(gatewaytest.Fixed(10*p.window)))
	doomed := f.start(t, []int{0})
	f.identifies(ctx, t, 1)
	f.start(t, []int{1})
	time.Sleep(p.window / 2) // its permit is still out: READY is far
	doomed.kill(t)
	killed := time.Now()
	f.identifies(ctx, t, 2)
	t.Logf("the next shard identified %v after the crash", time.Since(killed))
	verdict := f.gateway.Judge().Verdict()
	assert.Equal(t, f.machine(t), verdict.Violations, "%v", verdict)
	assert.Len(t, verdict.Shards, 2)
}

// Redis stops answering while a shard dials: nobody renews its permit, so its
// IDENTIFY must not leave. When Redis is back, disgo's next attempt gets another.
func TestAnIdentifyWhosePermitEndedWhileItDialledIsNotSent(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), readyTimeout)
	defer cancel()
	p := onePerPod(limiterPermits)
	p.pods = 0
	f := newFleet(t, p, gatewaytest.WithLatency(gatewaytest.Fixed(4*p.window)))
	f.start(t, []int{0, 1})
	for f.gateway.Stats().Connections == 0 {
		require.NoError(t, ctx.Err())
		time.Sleep(time.Millisecond)
	}
	f.redis.Pause()
	time.Sleep(6 * p.window) // the dial ends meanwhile
	identifies := f.gateway.Judge().Verdict().Identifies
	f.redis.Resume()
	assert.Zero(t, identifies)
	f.allReady(ctx, t)
	verdict := f.gateway.Judge().Verdict()
	assert.Equal(t, f.machine(t), verdict.Violations, "%v", verdict)
	f.assertIdentifies(t, 2)
}
