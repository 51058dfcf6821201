// Live limits: max_concurrency changes while shards wait and permits are out.

package queuetest

import (
	"testing"
	"time"
)

var limits = []scenario{
	{"MoreBucketsOpenAWindowAfterTheLastGrant", moreBucketsOpenAWindowAfterTheLastGrant, 0},
	{"FewerBucketsOpenAWindowAfterTheLastGrant", fewerBucketsOpenAWindowAfterTheLastGrant, 0},
	{"BucketsThatDoNotDivideOpenAWindowAfterTheLastGrant", bucketsThatDoNotDivide, 0},
	{"ALineThatIsSplitKeepsItsOrder", aLineThatIsSplitKeepsItsOrder, 0},
	{"APermitOfTheOldBucketsClosesTheNewOnes", aPermitOfTheOldBucketsClosesTheNewOnes, 0},
	{"AnAbandonedPermitOfTheOldBucketsOpensTheNewOnes", anAbandonedPermitOfTheOldBuckets, 0},
	{"AnIdentifiedPermitOfTheOldBucketsKeepsItsWindow", anIdentifiedPermitOfTheOldBuckets, 0},
	{"TwoChangesInARowKeepTheWindow", twoChangesInARowKeepTheWindow, 0},
	{"AnUpdateThatChangesNothingClosesNothing", anUpdateThatChangesNothingClosesNothing, 0},
	{"APodHearsOfAnotherPodsUpdate", aPodHearsOfAnotherPodsUpdate, pods},
}

func moreBucketsOpenAWindowAfterTheLastGrant(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	first := w.wait(0)
	first.grantedOnce(0)
	w.until(h.Window / 2)
	w.rebucket(4)
	w.opensAfter(first.at, w.waits(1, 2, 3, 4))
}

func fewerBucketsOpenAWindowAfterTheLastGrant(t testing.TB, h Harness) {
	w := h.open(t, full(4))
	w.waits(0, 1, 2)[2].granted(0, h.Window/2)
	w.until(h.Window * 3 / 5)
	last := w.wait(3)
	last.granted(0, w.now())
	w.rebucket(2)
	// Bucket 0 of the two was last used at 0, but that is not what counts.
	w.opensAfter(last.at, w.waits(4, 5))
}

func bucketsThatDoNotDivide(t testing.TB, h Harness) {
	w := h.open(t, full(4))
	w.wait(0).grantedOnce(0)
	w.until(h.Window * 2 / 5)
	last := w.wait(1)
	last.granted(0, w.now())
	line := w.waits(4, 5) // in front of two closed buckets
	w.rebucket(3)
	w.opensAfter(last.at, append(line, w.wait(9)))
}

// opensAfter expects grants as soon as a window has passed since a grant of the
// old mapping, in all buckets together.
func (w *world) opensAfter(grant time.Duration, calls []*call) {
	w.Helper()
	for _, c := range calls {
		c.granted(grant+w.Window, grant+w.Window+w.Margin+w.Notice)
	}
}

func aLineThatIsSplitKeepsItsOrder(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	w.wait(8).grantedOnce(0)
	line := w.spaced(3, 0, 1, 2)
	w.rebucket(2)
	w.inOrder([]*call{line[1], line[3]})
	w.inOrder([]*call{line[0], line[2]})
}

func aPermitOfTheOldBucketsClosesTheNewOnes(t testing.TB, h Harness) {
	w := h.open(t, full(2))
	p := w.acquire(0)
	p.grantedOnce(0)
	w.rebucket(3)
	line := w.waits(1, 2, 3)
	w.until(2 * h.Window)
	for _, c := range line {
		c.waiting()
	}
	sent := w.now()
	p.identified()
	for _, c := range line {
		c.granted(sent+h.Window, sent+h.Window+h.PermitMargin+h.Notice+h.Drain)
	}
}

func anAbandonedPermitOfTheOldBuckets(t testing.TB, h Harness) {
	w := h.open(t, full(2))
	p := w.acquire(0)
	p.grantedOnce(0)
	w.rebucket(3)
	line := w.waits(1, 2, 3)
	w.until(h.Window / 2)
	for _, c := range line {
		c.waiting()
	}
	now := w.now()
	p.abandon()
	for _, c := range line {
		// A shared queue may have closed all for a window at the change.
		c.granted(now, max(now, h.Window+h.Margin)+h.Notice+h.Drain)
	}
}

func anIdentifiedPermitOfTheOldBuckets(t testing.TB, h Harness) {
	w := h.open(t, full(2))
	p := w.acquire(0)
	p.grantedOnce(0)
	w.until(h.Window / 2)
	sent := w.now()
	p.identified()
	w.rebucket(3)
	for _, c := range w.waits(0, 1, 2) {
		// A shared queue may have closed all for a window at the change.
		c.granted(sent+h.Window, w.now()+h.Window+h.Margin+h.Notice+h.Drain)
	}
}

func twoChangesInARowKeepTheWindow(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	first := w.wait(0)
	first.grantedOnce(0)
	w.rebucket(4)
	w.rebucket(1)
	next := w.wait(1)
	next.granted(first.at+h.Window, first.at+h.Window+h.Margin+h.Notice)
}

func anUpdateThatChangesNothingClosesNothing(t testing.TB, h Harness) {
	w := h.open(t, full(2))
	first := w.wait(0)
	first.grantedOnce(0)
	w.rebucket(2)
	w.wait(1).soon()
	w.wait(2).grantedAfter(first.at)
	w.remaining(997)
}

func aPodHearsOfAnotherPodsUpdate(t testing.TB, h Harness) {
	w := h.openPods(t, 2, full(1))
	first := w.wait(0)
	first.grantedOnce(0)
	var line []*call
	for shard := 1; shard <= 3; shard++ {
		line = append(line, w.waitIn(t.Context(), w.pods[1], shard))
	}
	w.rebucket(4)
	w.opensAfter(first.at, line)
}
