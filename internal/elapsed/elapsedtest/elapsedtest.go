// Package elapsedtest simulates what tests cannot do: to suspend the machine and
// to set its clock.
package elapsedtest

import (
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
)

// Suspend makes it look as if the machine had just been resumed after a
// suspension of d: package elapsed says that d more has passed since every
// moment before, while time.Now, timers and deadlines know nothing of it. It
// holds for the whole process, so that a test which uses it cannot be parallel;
// moments after it are not touched, and nothing has to be undone.
//
// The server's clock does not move by it: see to that as well (miniredis:
// SetTime and FastForward), or by nothing but the pod's own judgement.
func Suspend(t testing.TB, d time.Duration) {
	t.Helper()
	alone(t)
	elapsed.Simulate(d, 0)
}

// StepWallClock makes it look as if the wall clock had just been set forwards by
// d, or backwards by -d.
func StepWallClock(t testing.TB, d time.Duration) {
	t.Helper()
	alone(t)
	elapsed.Simulate(0, d)
}

// alone panics in a parallel test: the environment, too, is one for the process.
func alone(t testing.TB) {
	t.Helper()
	t.Setenv("GATEWAYQUEUE_ELAPSED_TEST", "1")
}
