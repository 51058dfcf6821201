package elapsed_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed/elapsedtest"
)

func TestSince_EveryClock(t *testing.T) {
	for name, c := range map[string]struct {
		passes, suspended, step time.Duration
		since, jumped           time.Duration
	}{
		"the monotonic clock alone": {passes: 3 * time.Second, since: 3 * time.Second},
		"nothing":                   {},
		"a suspension":              {passes: time.Second, suspended: 12 * time.Second, since: 13 * time.Second, jumped: 12 * time.Second},
		"a short suspension":        {passes: time.Second, suspended: 7 * time.Millisecond, since: 1007 * time.Millisecond, jumped: 7 * time.Millisecond},
		"a guest whose clock is set after its pause":     {passes: time.Second, step: 12 * time.Second, since: 13 * time.Second, jumped: 12 * time.Second},
		"a suspension that both clocks tell of":          {passes: time.Second, suspended: 12 * time.Second, step: 12 * time.Second, since: 13 * time.Second, jumped: 12 * time.Second},
		"the most of both":                               {suspended: 2 * time.Second, step: 3 * time.Second, since: 3 * time.Second, jumped: 3 * time.Second},
		"a step backwards":                               {passes: 2 * time.Second, step: -time.Hour, since: 2 * time.Second},
		"a suspension and a step backwards":              {suspended: 2 * time.Second, step: -time.Hour, since: 2 * time.Second, jumped: 2 * time.Second},
		"a wall clock that is ahead by less than counts": {passes: time.Second, step: 99 * time.Millisecond, since: time.Second},
		"a wall clock that is ahead by what counts":      {passes: time.Second, step: 100 * time.Millisecond, since: 1100 * time.Millisecond, jumped: 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // virtual time: exact, or wrong
				m := elapsed.Now()
				time.Sleep(c.passes)
				elapsed.Simulate(c.suspended, c.step)
				assert.Equal(t, c.since, m.Since(), "Since")
				assert.Equal(t, c.jumped, m.Jumped(), "Jumped")
				after := elapsed.Now()
				assert.Zero(t, after.Since(), "what was before a moment is nothing to it")
				assert.Zero(t, after.Jumped())
			})
		})
	}
}

func TestSince_NeverLessThanTheMonotonicClock(t *testing.T) {
	m := elapsed.Now()
	for range 1000 {
		before := time.Since(m.Time())
		assert.GreaterOrEqual(t, m.Since(), before)
	}
}

func TestZeroMoment_IsTooOldForEverything(t *testing.T) {
	var m elapsed.Moment
	assert.True(t, m.IsZero())
	assert.False(t, elapsed.Now().IsZero())
	assert.Greater(t, m.Since(), 24*365*time.Hour)
	assert.Zero(t, m.Jumped())
}

func TestSuspend_IsSeenByEveryMomentBefore(t *testing.T) {
	first := elapsed.Now()
	elapsedtest.Suspend(t, time.Hour)
	second := elapsed.Now()
	elapsedtest.StepWallClock(t, 2*time.Hour)
	assert.InDelta(t, 2*time.Hour, first.Jumped(), float64(time.Minute), "the most of both")
	assert.InDelta(t, 2*time.Hour, second.Jumped(), float64(time.Minute))
	assert.Less(t, elapsed.Now().Jumped(), time.Hour)
}

func BenchmarkSince(b *testing.B) {
	m := elapsed.Now()
	for b.Loop() {
		m.Since()
	}
}
