// Attempts at a scenario in real time, on machines that stand still now and then.

package queuetest

import (
	"context"
	"fmt"
	"path"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// attempts are how often a scenario may be tried. It is tried again only if it has
// failed while the machine stood still, which nothing but real time does.
const attempts = 4

// inRealTime runs a scenario until an attempt passes, or fails by the queue's fault.
func (s scenario) inRealTime(t *testing.T, h Harness) {
	for n := 1; ; n++ {
		a := &attempt{TB: t}
		stood := a.watch(func() { s.run(a, h) })
		if !a.Failed() {
			return
		}
		if n == attempts || stood < h.Window/20 {
			for _, line := range a.said {
				t.Log(line)
			}
			t.Fatalf("attempt %d has failed, while the machine stood still for %v at a time", n, stood)
		}
		t.Logf("again, because the machine stood still for %v: %q", stood, a.said)
	}
}

// attempt is a test whose failure is not yet the test's.
type attempt struct {
	testing.TB
	ctx context.Context //nolint:containedctx // what Context returns

	mu       sync.Mutex // for callers that report from goroutines of their own
	failed   bool
	said     []string
	cleanups []func()
}

// watch runs one attempt with its cleanups, and returns for how long at a time the
// machine has stood still meanwhile.
func (a *attempt) watch(run func()) (stood time.Duration) {
	ctx, cancel := context.WithCancel(a.TB.Context())
	a.ctx = ctx
	done := make(chan struct{})
	go func() { // Fatalf ends it
		defer close(done)
		defer a.cleanUp()
		defer cancel()
		run()
	}()
	const step = 5 * time.Millisecond
	for last := time.Now(); ; {
		select {
		case <-done:
			return stood
		case <-time.After(step):
			now := time.Now()
			stood = max(stood, now.Sub(last)-step)
			last = now
		}
	}
}

// cleanUp runs the latest first, and all of them whatever one does.
func (a *attempt) cleanUp() {
	a.mu.Lock()
	last := len(a.cleanups) - 1
	if last < 0 {
		a.mu.Unlock()
		return
	}
	run := a.cleanups[last]
	a.cleanups = a.cleanups[:last]
	a.mu.Unlock()
	defer a.cleanUp()
	run()
}

func (a *attempt) Cleanup(f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.cleanups = append(a.cleanups, f)
}

func (a *attempt) Context() context.Context { return a.ctx }

func (a *attempt) Fail() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = true
}

func (a *attempt) Failed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.failed
}

func (a *attempt) Errorf(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed = true
	a.said = append(a.said, fmt.Sprintf("%s: %s", a.where(), fmt.Sprintf(format, args...)))
}

// where is the line of the scenario that speaks.
func (a *attempt) where() string {
	var calls [32]uintptr
	frames := runtime.CallersFrames(calls[:runtime.Callers(3, calls[:])])
	for {
		frame, more := frames.Next()
		switch file := path.Base(frame.File); {
		case file == "world.go" || file == "call.go" || file == "attempt.go":
		case strings.HasPrefix(frame.Function, "github.com/gatewayqueue/") || !more:
			return fmt.Sprintf("%s:%d", file, frame.Line)
		}
		if !more {
			return "?"
		}
	}
}

func (a *attempt) FailNow() {
	a.Fail()
	runtime.Goexit()
}

func (a *attempt) Error(args ...any) { a.Errorf("%s", fmt.Sprint(args...)) }

func (a *attempt) Fatal(args ...any) {
	a.Errorf("%s", fmt.Sprint(args...))
	runtime.Goexit()
}

func (a *attempt) Fatalf(format string, args ...any) {
	a.Errorf(format, args...)
	runtime.Goexit()
}
