// The seven scenarios that twilight tests its queue with, and the nine
// surprises of that queue, here as they should be.
// https://github.com/twilight-rs/twilight/blob/main/twilight-gateway-queue/tests/common/mod.rs

package queuetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

var twilight = []scenario{
	{"NoLimitGrantsAtOnce", noLimitGrantsAtOnce, unlimited},
	{"NoLimitIsRefused", noLimitIsRefused, 0},
	{"AnUpdateFillsTheNewBuckets", anUpdateFillsTheNewBuckets, 0},
	{"ABucketGrantsOnePerWindow", aBucketGrantsOnePerWindow, 0},
	{"BucketsAreIndependent", bucketsAreIndependent, 0},
	{"TheLowerShardGetsTheOnlyUnit", theLowerShardGetsTheOnlyUnit, alone | virtual},
	{"TheBudgetIsFullAgainAtTheReset", theBudgetIsFullAgainAtTheReset, 0},
	{"TheDayStartsAtTheFirstGrant", theDayStartsAtTheFirstGrant, virtual},
	{"EveryDayStartsAtItsFirstGrant", everyDayStartsAtItsFirstGrant, virtual},
	{"OnlyAFullBucketWaits", onlyAFullBucketWaits, 0},

	{"AnIdleBucketGrantsAtOnce", anIdleBucketGrantsAtOnce, 0},
	{"AnUpdateIsHeardWhileExhausted", anUpdateIsHeardWhileExhausted, 0},
	{"AnUpdateIsHeardOnceTheLastUnitIsSpent", anUpdateIsHeardOnceTheLastUnitIsSpent, 0},
	{"NewBucketsAreHeardOfWhileExhausted", newBucketsAreHeardOfWhileExhausted, 0},
	{"ALineOfTheDeadDoesNotUseAWindow", aLineOfTheDeadDoesNotUseAWindow, 0},
	{"TheDeadInFrontCostNothing", theDeadInFrontCostNothing, 0},
	{"FewerBucketsKeepTheOrderOfArrival", fewerBucketsKeepTheOrderOfArrival, 0},
	{"ATotalOfZeroNeverGrants", aTotalOfZeroNeverGrants, 0},
	{"ATotalOfZeroNeverGrantsTheNextDayEither", aTotalOfZeroNeverGrantsTheNextDayEither, virtual},
	{"GrantsWithoutALimitLeaveNoTrace", grantsWithoutALimitLeaveNoTrace, unlimited},
}

func noLimitGrantsAtOnce(t testing.TB, h Harness) {
	w := h.openUnlimited(t)
	for range 2 {
		w.wait(0).atOnce()
	}
	p := w.acquire(0)
	p.atOnce()
	w.wait(0).atOnce()
	p.abandon()
	w.remaining(0)
}

// (b) twilight panics when the limit is lifted while shards wait. Here it cannot
// be lifted: max_concurrency 0 is a figure that is missing.
func noLimitIsRefused(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	w.wait(0).grantedOnce(0)
	if err := w.queue.Update(t.Context(), full(0)); !errors.Is(err, gatewayqueue.ErrInvalid) {
		t.Fatalf("Update to max_concurrency 0: %v, want ErrInvalid", err)
	}
	w.wait(1).grantedAfter(0)
}

// The original relies on its runner not having run yet. Here those who wait
// behind a closed bucket get the new one as soon as rule 9 allows.
func anUpdateFillsTheNewBuckets(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	first := w.wait(2)
	first.grantedOnce(0)
	line := w.waits(0, 1)
	w.rebucket(2)
	for _, c := range line {
		c.granted(first.at+h.Window, first.at+h.Window+h.Margin+h.Notice)
	}
}

func aBucketGrantsOnePerWindow(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	first, second := w.wait(0), w.wait(0)
	first.grantedOnce(0)
	second.grantedAfter(first.at)
}

func bucketsAreIndependent(t testing.TB, h Harness) {
	w := h.open(t, full(2))
	w.wait(1).grantedOnce(0)
	w.wait(0).granted(0, h.Window/2)
}

func theLowerShardGetsTheOnlyUnit(t testing.TB, h Harness) {
	w := h.open(t, limit(2, 0, 1, h.Window))
	calls := w.together(1, 0)
	calls[1].grantedOnce(h.Window)
	calls[0].waiting()
	calls[0].grantedADayAfter(h.Window)
}

func theBudgetIsFullAgainAtTheReset(t testing.TB, h Harness) {
	w := h.open(t, limit(1, 0, 1, 4*h.Window))
	w.wait(0).grantedOnce(4 * h.Window)
}

func theDayStartsAtTheFirstGrant(t testing.TB, h Harness) {
	w := h.open(t, limit(1, 1, 1, 0))
	w.until(gatewayqueue.LimitPeriod / 2)
	first := w.wait(0)
	first.grantedOnce(gatewayqueue.LimitPeriod / 2)
	w.wait(0).grantedADayAfter(first.at)
}

func everyDayStartsAtItsFirstGrant(t testing.TB, h Harness) {
	w := h.open(t, limit(1, 0, 1, h.Window))
	w.until(gatewayqueue.LimitPeriod / 2)
	first := w.wait(0)
	first.grantedOnce(gatewayqueue.LimitPeriod / 2)
	w.until(2 * gatewayqueue.LimitPeriod)
	second := w.wait(0)
	second.grantedOnce(2 * gatewayqueue.LimitPeriod)
	w.wait(0).grantedADayAfter(second.at)
}

func onlyAFullBucketWaits(t testing.TB, h Harness) {
	w := h.open(t, full(4))
	calls := w.waits(0, 1, 3, 3)
	for _, c := range calls[:3] {
		c.granted(0, h.Window/2)
	}
	calls[3].grantedAfter(calls[2].at)
}

// (a) twilight has one clock for all buckets.
func anIdleBucketGrantsAtOnce(t testing.TB, h Harness) {
	w := h.open(t, full(2))
	w.wait(0).grantedOnce(0)
	w.until(h.Window / 5)
	w.wait(1).grantedOnce(h.Window / 5)
}

// (c) twilight reads no messages while it waits for the reset.
func anUpdateIsHeardWhileExhausted(t testing.TB, h Harness) {
	w := h.open(t, limit(1, 0, 10, 720*h.Window))
	c := w.wait(0)
	w.until(h.Window)
	c.waiting()
	now := w.now()
	w.update(limit(1, 10, 10, 720*h.Window))
	c.granted(h.Window, now+h.Notice)
	w.remaining(9)
}

// (d) twilight stalls as soon as the last unit is gone, with nobody in line.
func anUpdateIsHeardOnceTheLastUnitIsSpent(t testing.TB, h Harness) {
	w := h.open(t, limit(2, 1, 10, 720*h.Window))
	w.wait(0).grantedOnce(0)
	w.until(h.Window / 5)
	w.update(limit(2, 5, 10, 720*h.Window))
	w.wait(1).soon()
}

// (c) and (d) as far as they go for queues that never raise remaining.
func newBucketsAreHeardOfWhileExhausted(t testing.TB, h Harness) {
	w := h.open(t, limit(1, 0, 10, 4*h.Window))
	line := w.waits(0, 1, 2)
	w.until(h.Window)
	w.update(limit(4, 0, 10, 3*h.Window))
	for _, c := range line {
		// Two clocks have counted the reset: allow for what lies between.
		c.granted(4*h.Window-h.Slack, 4*h.Window+h.Notice)
	}
}

// (e) In twilight the dead of a line use up a tick of the clock.
func aLineOfTheDeadDoesNotUseAWindow(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	first, dead := w.wait(0), w.wait(1)
	first.grantedOnce(0)
	w.until(h.Window / 2)
	dead.leave(nil)
	w.until(2 * h.Window)
	w.wait(2).atOnce()
	w.remaining(998)
}

// (f) This one twilight has right.
func theDeadInFrontCostNothing(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	first := w.wait(0)
	first.grantedOnce(0)
	dead := w.waits(1, 2, 3, 4, 5)
	live := w.wait(6)
	for _, c := range dead {
		c.leave(nil)
	}
	live.granted(first.at+h.Window, max(first.at+h.Window+h.Margin, w.now())+h.Notice)
	w.remaining(998)
}

// (g) twilight strings the old buckets together: 0, 1, 2, 3, 7.
func fewerBucketsKeepTheOrderOfArrival(t testing.TB, h Harness) {
	w := h.open(t, full(4))
	for _, c := range w.waits(8, 9, 10, 11) {
		c.granted(0, h.Window/2)
	}
	line := w.spaced(3, 2, 1, 0, 7)
	w.rebucket(1)
	w.inOrder(line)
}

func aTotalOfZeroNeverGrants(t testing.TB, h Harness) {
	w := h.open(t, limit(1, 0, 0, 0))
	c := w.wait(0)
	w.until(3 * h.Window)
	c.waiting()
	w.remaining(0)
}

func aTotalOfZeroNeverGrantsTheNextDayEither(t testing.TB, h Harness) {
	w := h.open(t, limit(1, 0, 0, gatewayqueue.LimitPeriod))
	c := w.wait(0)
	w.until(3 * gatewayqueue.LimitPeriod / 2)
	c.waiting()
	w.remaining(0)
}

func grantsWithoutALimitLeaveNoTrace(t testing.TB, h Harness) {
	w := h.openUnlimited(t)
	// Not through the judge, to whom the next grant would be a violation.
	for range 3 {
		if err := w.queue.Wait(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
	}
	p, err := w.queue.Acquire(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	w.update(limit(1, 5, 5, 0))
	w.wait(0).atOnce()
	if err := p.Abandon(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.remaining(4)
}

// spaced sends shards at moments that every clock can tell apart.
func (w *world) spaced(shards ...int) []*call {
	var calls []*call
	for _, shard := range shards {
		calls = append(calls, w.wait(shard))
		time.Sleep(w.Window / 50)
	}
	return calls
}

// inOrder expects grants of one bucket, a window apart and in this order.
func (w *world) inOrder(line []*call) {
	w.Helper()
	for i, c := range line {
		c.granted(0, w.now()+w.Window+w.Margin+w.Notice)
		if i > 0 && c.at < line[i-1].at+w.Window {
			w.Fatalf("shard %d was granted %v after shard %d: want a window", c.shard, c.at-line[i-1].at, line[i-1].shard)
		}
	}
	byGrant := slices.SortedFunc(slices.Values(line), func(a, b *call) int { return int(a.at - b.at) })
	for i, c := range line {
		if byGrant[i] != c {
			w.Fatalf("shard %d was granted before shard %d", byGrant[i].shard, c.shard)
		}
	}
}
