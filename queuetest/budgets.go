// The budget: units per period.

package queuetest

import (
	"errors"
	"testing"

	"github.com/gatewayqueue/gatewayqueue"
)

var budgets = []scenario{
	{"EveryGrantIsCounted", everyGrantIsCounted, 0},
	{"AnExhaustedBudgetWaitsForTheReset", anExhaustedBudgetWaitsForTheReset, 0},
	{"AFullBudgetIgnoresTheReset", aFullBudgetIgnoresTheReset, virtual},
	{"AnUpdateLowersTheBudget", anUpdateLowersTheBudget, 0},
	{"AnUpdateRaisesTheBudgetAtTheResetOnly", anUpdateRaisesTheBudgetAtTheResetOnly, 0},
	{"AnInvalidUpdateChangesNothing", anInvalidUpdateChangesNothing, 0},
	{"PodsShareTheBudget", podsShareTheBudget, pods},
}

func everyGrantIsCounted(t testing.TB, h Harness) {
	w := h.open(t, full(4))
	for _, c := range w.waits(0, 1, 2) {
		c.granted(0, h.Window/2)
	}
	p := w.acquire(3)
	p.granted(0, h.Window/2)
	w.remaining(996)
	p.identified()
	w.remaining(996)
	if got := w.judge.Verdict().Remaining; got != 996 {
		t.Fatalf("the judge has %d left", got)
	}
}

func anExhaustedBudgetWaitsForTheReset(t testing.TB, h Harness) {
	w := h.open(t, limit(4, 2, 5, 3*h.Window))
	calls := w.waits(0, 1, 2, 3)
	for _, c := range calls[:2] {
		c.granted(0, h.Window/2)
	}
	w.until(2 * h.Window)
	for _, c := range calls[2:] {
		c.waiting()
	}
	w.remaining(0)
	for _, c := range calls[2:] {
		c.granted(3*h.Window, 3*h.Window+h.Notice)
	}
	w.remaining(3)
}

func aFullBudgetIgnoresTheReset(t testing.TB, h Harness) {
	w := h.open(t, limit(2, 1, 1, 2*h.Window))
	w.until(h.Window)
	first := w.wait(0)
	first.grantedOnce(h.Window)
	w.wait(1).grantedADayAfter(first.at)
}

func anUpdateLowersTheBudget(t testing.TB, h Harness) {
	w := h.open(t, limit(4, 10, 10, 0))
	w.wait(0).grantedOnce(0)
	w.update(limit(4, 1, 10, 3*h.Window))
	updated := w.now()
	w.remaining(1)
	w.wait(1).soon()
	// A queue that had begun its own day may keep it: it waits longer then.
	c := w.wait(2)
	w.until(2 * h.Window)
	c.waiting()
	w.remaining(0)
	if !h.Shared {
		c.granted(updated+2*h.Window, updated+3*h.Window)
	}
}

func anUpdateRaisesTheBudgetAtTheResetOnly(t testing.TB, h Harness) {
	w := h.open(t, limit(1, 0, 10, 3*h.Window))
	c := w.wait(0)
	w.until(h.Window)
	w.update(limit(1, 10, 10, 2*h.Window))
	w.until(2 * h.Window)
	c.waiting()
	w.remaining(0)
	c.granted(3*h.Window-h.Slack, 3*h.Window+h.Notice)
	w.remaining(9)
}

func anInvalidUpdateChangesNothing(t testing.TB, h Harness) {
	w := h.open(t, limit(1, 10, 10, 0))
	first := w.wait(0)
	first.grantedOnce(0)
	for _, l := range []gatewayqueue.SessionStartLimit{
		limit(1, 11, 10, 0), limit(1, 5, -1, 0), limit(1, -1, 10, 0), limit(-1, 5, 10, 0), limit(1, 5, 10, -1),
	} {
		if err := w.queue.Update(t.Context(), l); !errors.Is(err, gatewayqueue.ErrInvalid) {
			t.Fatalf("Update to %+v: %v, want ErrInvalid", l, err)
		}
	}
	w.remaining(9)
	w.wait(1).grantedAfter(first.at)
}

func podsShareTheBudget(t testing.TB, h Harness) {
	w := h.openPods(t, 2, limit(4, 2, 10, 3*h.Window))
	for i, q := range w.pods {
		w.waitIn(t.Context(), q, i).granted(0, h.Window/2)
	}
	late := w.waitIn(t.Context(), w.pods[1], 2)
	w.until(h.Window)
	late.waiting()
	w.remaining(0)
	late.granted(3*h.Window, 3*h.Window+h.Notice)
}
