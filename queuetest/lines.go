// Order: who comes first is served first.

package queuetest

import (
	"errors"
	"testing"

	"github.com/gatewayqueue/gatewayqueue"
)

var lines = []scenario{
	{"FirstComeFirstServed", firstComeFirstServed, 0},
	{"TheLowerShardGoesFirstInATie", theLowerShardGoesFirstInATie, virtual},
	{"FirstComeFirstServedAcrossPods", firstComeFirstServedAcrossPods, pods},
	{"APodThatLeavesHoldsNobodyUp", aPodThatLeavesHoldsNobodyUp, pods},
	{"OneShardMayWaitTwice", oneShardMayWaitTwice, 0},
}

func firstComeFirstServed(t testing.TB, h Harness) {
	w := h.open(t, full(2))
	w.wait(8).grantedOnce(0)
	w.inOrder(w.spaced(4, 0, 6, 2))
}

func theLowerShardGoesFirstInATie(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	w.wait(8).grantedOnce(0)
	calls := w.together(3, 1, 2)
	w.inOrder([]*call{calls[1], calls[2], calls[0]})
}

func firstComeFirstServedAcrossPods(t testing.TB, h Harness) {
	w := h.openPods(t, 3, full(1))
	w.wait(8).grantedOnce(0)
	var line []*call
	for i, shard := range []int{5, 4, 3, 2, 1} {
		line = append(line, w.waitIn(t.Context(), w.pods[i%3], shard))
		w.until(w.now() + h.Window/50)
	}
	w.inOrder(line)
}

func aPodThatLeavesHoldsNobodyUp(t testing.TB, h Harness) {
	w := h.openPods(t, 2, full(1))
	first := w.wait(0)
	first.grantedOnce(0)
	gone := w.waitIn(t.Context(), w.pods[1], 1)
	next := w.wait(2)
	if err := w.pods[1].Close(); err != nil {
		t.Fatal(err)
	}
	if err := gone.refused(0, w.now()); !errors.Is(err, gatewayqueue.ErrClosed) {
		t.Fatalf("the error is %q: want ErrClosed", err)
	}
	next.granted(first.at+h.Window, max(first.at+h.Window+h.Margin, w.now())+h.Notice)
	w.remaining(998)
}

func oneShardMayWaitTwice(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	w.inOrder(w.spaced(0, 0, 0))
	w.remaining(997)
}
