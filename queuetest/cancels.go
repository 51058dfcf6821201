// Callers who leave: they cost nothing.

package queuetest

import (
	"context"
	"errors"
	"testing"
	"time"
)

var cancels = []scenario{
	{"ACancelledWaiterLeavesAtOnce", aCancelledWaiterLeavesAtOnce, 0},
	{"ACancelledAcquireLeavesAtOnce", aCancelledAcquireLeavesAtOnce, 0},
	{"ACancelledWaiterLeavesAnExhaustedQueue", aCancelledWaiterLeavesAnExhaustedQueue, 0},
	{"CancelledInTheInstantOfTheGrantCostsNothing", cancelledInTheInstantOfTheGrant, 0},
}

var errWeary = errors.New("the caller is weary")

func aCancelledWaiterLeavesAtOnce(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	first := w.wait(0)
	first.grantedOnce(0)
	leaver, next := w.wait(1), w.wait(2)
	w.inLine(2)
	w.until(h.Window / 2)
	now := w.now()
	leaver.leave(errWeary)
	err := leaver.refused(now, now)
	if !errors.Is(err, errWeary) || !errors.Is(err, context.Canceled) {
		t.Fatalf("the error is %q: want cause and error of the context", err)
	}
	w.inLine(1)
	next.granted(first.at+h.Window, first.at+h.Window+h.Margin+h.Notice)
	w.inLine(0)
	w.remaining(998)
}

func aCancelledAcquireLeavesAtOnce(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	first := w.acquire(0)
	first.grantedOnce(0)
	leaver := w.acquire(1)
	w.until(h.Window / 2)
	now := w.now()
	leaver.leave(errWeary)
	if err := leaver.refused(now, now); !errors.Is(err, errWeary) {
		t.Fatalf("the error is %q: want the cause of the context", err)
	}
	if leaver.permit != nil {
		t.Fatal("there is a permit beside the error")
	}
	first.abandon()
	w.remaining(1000)
}

func aCancelledWaiterLeavesAnExhaustedQueue(t testing.TB, h Harness) {
	w := h.open(t, limit(1, 0, 10, 3*h.Window))
	leaver, next := w.wait(0), w.wait(1)
	w.until(h.Window)
	leaver.leave(errWeary)
	if err := leaver.refused(h.Window, w.now()); !errors.Is(err, errWeary) {
		t.Fatalf("the error is %q: want the cause of the context", err)
	}
	next.granted(3*h.Window, 3*h.Window+h.Notice)
	w.remaining(9)
}

// Each round cancels a waiter at or around the moment of its grant. Either it
// is granted and pays, or it is not and the next one has bucket and unit.
func cancelledInTheInstantOfTheGrant(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	last := w.wait(0)
	last.grantedOnce(0)
	rounds, spread := 200, time.Duration(0)
	if !h.Virtual {
		rounds, spread = 6, h.Slack
	}
	granted, left := 1, 0
	for i := range rounds {
		opens := last.at + h.Window + h.Margin
		c := w.wait(1)
		time.AfterFunc(opens-w.now()+spread*time.Duration(i%3-1)/4, func() { c.leave(nil) })
		c.returned(0, opens+h.Slack)
		if c.err == nil {
			granted, last = granted+1, c
			continue
		}
		left++
		next := w.wait(2)
		next.granted(0, max(opens, w.now())+h.Notice)
		granted, last = granted+1, next
	}
	w.remaining(1000 - granted)
	t.Logf("of %d, %d left", rounds, left)
}
