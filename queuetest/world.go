// The world of one scenario: its queues, its judge, and its callers.

package queuetest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

type world struct {
	Harness
	testing.TB
	queue Queue // the first of pods
	pods  []Queue
	judge *gatewaytest.Judge
	start time.Time
	calls []*call // of Wait and Acquire, one after the other
}

// full is a full budget that no scenario uses up.
func full(maxConcurrency int) gatewayqueue.SessionStartLimit {
	return limit(maxConcurrency, 1000, 1000, 0)
}

func limit(maxConcurrency, remaining, total int, resetAfter time.Duration) gatewayqueue.SessionStartLimit {
	return gatewayqueue.SessionStartLimit{
		MaxConcurrency: maxConcurrency, Remaining: remaining, Total: total, ResetAfter: resetAfter,
	}
}

// open makes a world with one queue.
func (h Harness) open(t testing.TB, l gatewayqueue.SessionStartLimit) *world {
	t.Helper()
	return h.enter(t, l, func() []Queue { return []Queue{h.New(t, l)} })
}

// openUnlimited makes one with a queue that has no limit.
func (h Harness) openUnlimited(t testing.TB) *world {
	t.Helper()
	return h.enter(t, limit(0, 0, 0, 0), func() []Queue { return []Queue{h.Unlimited(t)} })
}

// openPods makes one with n queues on one state.
func (h Harness) openPods(t testing.TB, n int, l gatewayqueue.SessionStartLimit) *world {
	t.Helper()
	return h.enter(t, l, func() []Queue { return h.Pods(t, n, l) })
}

func (h Harness) enter(t testing.TB, l gatewayqueue.SessionStartLimit, queues func() []Queue) *world {
	t.Helper()
	// The judge first: its period must not end later than the queue's.
	w := &world{Harness: h, TB: t, judge: gatewaytest.NewJudge(l, h.Window)}
	w.start = time.Now() // before them: what is left of a period counts from when they are made
	w.pods = queues()
	w.queue = w.pods[0]
	t.Cleanup(func() {
		for _, q := range w.pods {
			if err := q.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if v := w.judge.Verdict(); !v.OK() {
			t.Errorf("the judge: %v", v)
		}
	})
	return w
}

// until sleeps until a moment, counted from the start.
func (w *world) until(at time.Duration) { time.Sleep(at - w.now()) }

func (w *world) now() time.Duration { return time.Since(w.start) }

// settle lets every call that was made so far take its place. In real time it
// also keeps the next call's arrival apart from theirs.
func (w *world) settle() {
	if w.Virtual {
		synctest.Wait()
		return
	}
	time.Sleep(max(w.Slack, w.Window/50))
}

// busy is how much later than promised a call may return in real time: a machine
// that stands still for a second is no fault of the queue. Virtual time has the
// exact bounds, and nothing may return early in either.
func (w *world) busy() time.Duration {
	if w.Virtual {
		return 0
	}
	return 10 * w.Window
}

// outstanding counts the calls that have not returned.
func (w *world) outstanding() int {
	n := 0
	for _, c := range w.calls {
		if !c.hasReturned() {
			n++
		}
	}
	return n
}

func (w *world) status() gatewayqueue.Status {
	w.Helper()
	s, err := w.queue.Status(w.Context())
	if err != nil {
		w.Fatalf("Status: %v", err)
	}
	return s
}

// remaining expects that so much of the budget is left, or soon will be.
func (w *world) remaining(want int) {
	w.Helper()
	w.soon("remaining", want, func(s gatewayqueue.Status) int { return s.Budget.Remaining })
}

// inLine expects that so many wait.
func (w *world) inLine(want int) {
	w.Helper()
	w.soon("waiting", want, gatewayqueue.Status.Waiting)
}

func (w *world) soon(what string, want int, get func(gatewayqueue.Status) int) {
	w.Helper()
	w.settle()
	var got int
	for end := w.now() + w.Slack + w.Notice + w.busy(); ; time.Sleep(max(w.Slack, w.Window/100)) {
		if got = get(w.status()); got == want {
			return
		}
		if w.now() >= end {
			w.Fatalf("%s is %d after %v: want %d", what, got, w.now(), want)
		}
	}
}

// update puts a limit in force for the queue and the judge.
func (w *world) update(l gatewayqueue.SessionStartLimit) {
	w.Helper()
	w.judge.SetLimit(l) // first, because an update may grant at once
	if err := w.queue.Update(w.Context(), l); err != nil {
		w.Fatalf("Update: %v", err)
	}
	w.settle()
}

// rebucket changes max_concurrency, and leaves the budget as it is.
func (w *world) rebucket(maxConcurrency int) {
	w.Helper()
	b := w.status().Budget
	l := limit(maxConcurrency, b.Remaining, b.Total, gatewayqueue.LimitPeriod)
	if !b.Reset.IsZero() {
		l.ResetAfter = b.Reset.Sub(w.status().Time)
	}
	w.update(l)
}
