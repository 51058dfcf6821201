// Errors: what a queue refuses, and what ends a wait.

package queuetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

var refusals = []scenario{
	{"ANegativeShardIsInvalid", aNegativeShardIsInvalid, 0},
	{"ACancelledContextSpendsNothing", aCancelledContextSpendsNothing, 0},
	{"AWindowBeyondTheDeadlineFailsAtOnce", aWindowBeyondTheDeadlineFailsAtOnce, 0},
	{"AResetBeyondTheDeadlineFailsAtOnce", aResetBeyondTheDeadlineFailsAtOnce, 0},
	{"ABudgetThatIsSpentFailsThoseInLine", aBudgetThatIsSpentFailsThoseInLine, 0},
	{"AnUpdateThatMovesTheResetFailsThoseInLine", anUpdateThatMovesTheReset, alone},
	{"ADeadlineThatIsLateEnoughIsMet", aDeadlineThatIsLateEnoughIsMet, 0},
	{"ADeadlinePassesInLine", aDeadlinePassesInLine, 0},
	{"APermitThatMayBeAbandonedIsWorthWaitingFor", aPermitThatMayBeAbandoned, 0},
	{"CloseEndsEveryWait", closeEndsEveryWait, 0},
	{"AClosedQueueRefusesAll", aClosedQueueRefusesAll, 0},
}

func aNegativeShardIsInvalid(t testing.TB, h Harness) {
	w := h.open(t, full(2))
	for _, err := range []error{w.wait(-1).refused(0, w.now()), w.acquire(-7).refused(0, w.now())} {
		if !errors.Is(err, gatewayqueue.ErrInvalid) {
			t.Errorf("the error is %q: want ErrInvalid", err)
		}
	}
	w.wait(0).atOnce()
	w.remaining(999)
}

func aCancelledContextSpendsNothing(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errWeary)
	for _, c := range []*call{w.waitIn(ctx, w.queue, 0), w.acquireIn(ctx, w.queue, 0)} {
		err := c.refused(0, w.now())
		if !errors.Is(err, errWeary) || !errors.Is(err, context.Canceled) {
			t.Errorf("the error is %q: want cause and error of the context", err)
		}
	}
	w.wait(0).atOnce()
	w.remaining(999)
}

// deadline is a context that ends some time from now.
func (w *world) deadline(after time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(w.Context(), after)
	w.Cleanup(cancel)
	return ctx
}

// tooLate checks an error that must say how long the wait would have been.
func (w *world) tooLate(err error, from, to time.Duration) {
	w.Helper()
	if !errors.Is(err, context.DeadlineExceeded) {
		w.Fatalf("the error is %q: want context.DeadlineExceeded", err)
	}
	var late *gatewayqueue.DeadlineError
	if !errors.As(err, &late) {
		w.Fatalf("the error is %q: want a DeadlineError", err)
	}
	if late.Wait < from || late.Wait > to {
		w.Fatalf("the wait is said to be %v: want %v to %v", late.Wait, from, to)
	}
}

func aWindowBeyondTheDeadlineFailsAtOnce(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	w.wait(0).grantedOnce(0)
	now := w.now()
	for _, c := range []*call{
		w.waitIn(w.deadline(h.Window/2), w.queue, 1), w.acquireIn(w.deadline(h.Window/2), w.queue, 2),
	} {
		w.tooLate(c.refused(now, w.now()), h.Window/2, h.Window+h.Margin)
	}
	w.inLine(0)
	w.remaining(999)
}

func aResetBeyondTheDeadlineFailsAtOnce(t testing.TB, h Harness) {
	w := h.open(t, limit(1, 0, 10, 100*h.Window))
	c := w.waitIn(w.deadline(3*h.Window), w.queue, 0)
	w.tooLate(c.refused(0, w.now()), 3*h.Window, 100*h.Window)
	w.inLine(0)
}

func aBudgetThatIsSpentFailsThoseInLine(t testing.TB, h Harness) {
	w := h.open(t, limit(2, 2, 10, 100*h.Window))
	first := w.wait(0)
	first.grantedOnce(0)
	last := w.wait(2)
	hasty := w.waitIn(w.deadline(10*h.Window), w.queue, 4)
	patient := w.wait(6)
	last.grantedAfter(first.at)
	w.tooLate(hasty.refused(last.at-h.Slack, last.at+h.Notice), 3*h.Window, 100*h.Window)
	patient.waiting()
}

func anUpdateThatMovesTheReset(t testing.TB, h Harness) {
	w := h.open(t, limit(2, 2, 10, 5*h.Window))
	w.wait(0).grantedOnce(0)
	hasty := w.waitIn(w.deadline(10*h.Window), w.queue, 2)
	w.wait(1).granted(0, h.Window/2)
	w.until(h.Window / 2)
	hasty.waiting() // the reset would be in time
	now := w.now()
	w.update(limit(2, 0, 10, 100*h.Window))
	w.tooLate(hasty.refused(now, now+h.Notice), 3*h.Window, 100*h.Window)
}

func aDeadlineThatIsLateEnoughIsMet(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	first := w.wait(0)
	first.grantedOnce(0)
	w.waitIn(w.deadline(3*h.Window), w.queue, 1).grantedAfter(first.at)
}

func aDeadlinePassesInLine(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	w.wait(0).grantedOnce(0)
	w.wait(1)
	w.wait(2)
	// Those in front may leave, so this one waits, if in vain. It may be told so
	// as soon as there is no doubt: once shard 1 is granted.
	now := w.now()
	c := w.waitIn(w.deadline(2*h.Window), w.queue, 3)
	c.waiting()
	if err := c.refused(h.Window, now+2*h.Window+h.Slack); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the error is %q: want context.DeadlineExceeded", err)
	}
}

func aPermitThatMayBeAbandoned(t testing.TB, h Harness) {
	w := h.open(t, limit(1, 1, 10, 100*h.Window))
	p := w.acquire(0)
	p.grantedOnce(0)
	// Slot and unit are taken, but may both come back.
	c := w.waitIn(w.deadline(2*h.Window+h.Notice), w.queue, 1)
	w.until(h.Window / 2)
	c.waiting()
	now := w.now()
	p.abandon()
	c.granted(now, now+h.Notice)
}

func closeEndsEveryWait(t testing.TB, h Harness) {
	w := h.open(t, limit(2, 2, 10, 100*h.Window))
	w.wait(0).grantedOnce(0)
	calls := append(w.waits(2, 4), w.acquire(6)) // behind a window
	w.wait(1).granted(0, w.now())
	calls = append(calls, w.waits(1, 3)...) // behind the budget
	now := w.now()
	for range 2 {
		if err := w.queue.Close(); err != nil {
			t.Fatalf("Close: %v", err)
		}
	}
	for _, c := range calls {
		if err := c.refused(now, now); !errors.Is(err, gatewayqueue.ErrClosed) {
			t.Errorf("the error is %q: want ErrClosed", err)
		}
	}
}

func aClosedQueueRefusesAll(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	if err := w.queue.Close(); err != nil {
		t.Fatal(err)
	}
	_, statusErr := w.queue.Status(t.Context())
	for what, err := range map[string]error{
		"Wait":    w.wait(0).refused(0, w.now()),
		"Acquire": w.acquire(0).refused(0, w.now()),
		"Update":  w.queue.Update(t.Context(), full(2)),
		"Status":  statusErr,
	} {
		if !errors.Is(err, gatewayqueue.ErrClosed) {
			t.Errorf("%s: %v, want ErrClosed", what, err)
		}
	}
}
