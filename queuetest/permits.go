// Permits: the window starts when the holder says so.

package queuetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

var permits = []scenario{
	{"APermitKeepsItsBucketClosed", aPermitKeepsItsBucketClosed, 0},
	{"APermitLeavesOtherBucketsAlone", aPermitLeavesOtherBucketsAlone, 0},
	{"AnAbandonedPermitGivesSlotAndUnitBack", anAbandonedPermitGivesSlotAndUnitBack, 0},
	{"AnAbandonedPermitGivesTheLastUnitBack", anAbandonedPermitGivesTheLastUnitBack, 0},
	{"AUnitOfYesterdayDoesNotComeBack", aUnitOfYesterdayDoesNotComeBack, 0},
	{"OnlyTheFirstReportCounts", onlyTheFirstReportCounts, 0},
	{"AWaitThatHasIdentifiedIsOver", aWaitThatHasIdentifiedIsOver, 0},
	{"WhoComesBackStandsWhereItStood", whoComesBackStandsWhereItStood, 0},
	{"ReportsAfterCloseAreHarmless", reportsAfterCloseAreHarmless, 0},
	{"ADeadlineIsWithinTheBound", aDeadlineIsWithinTheBound, 0},
	{"ASilentPermitEndsAfterItsBound", aSilentPermitEndsAfterItsBound, virtual},
	{"ALateIdentifiedKeepsOthersOut", aLateIdentifiedKeepsOthersOut, virtual},
	{"ALateIdentifiedOutlastsTheNextHolder", aLateIdentifiedOutlastsTheNextHolder, virtual},
	{"APermitKeepsOtherPodsOut", aPermitKeepsOtherPodsOut, pods},
}

// grantedAfterIdentified is grantedAfter for a window that a permit started.
func (c *call) grantedAfterIdentified(at time.Duration) {
	c.w.Helper()
	c.granted(at+c.w.Window, at+c.w.Window+c.w.PermitMargin+c.w.Notice)
}

// Of queues in which the calls of one wait are paid once.
func aWaitThatHasIdentifiedIsOver(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	q, ok := w.queue.(interface {
		WaitAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) error
		AcquireAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) (gatewayqueue.Permit, error)
	})
	if !ok {
		return
	}
	acquire := func(wait string) *call {
		c := w.send(w.Context(), 0, func(c *call, ctx context.Context) (err error) {
			c.permit, err = q.AcquireAs(ctx, 0, gatewayqueue.Visit{Wait: wait})
			return err
		})
		w.settle()
		return c
	}
	p := acquire("one")
	p.grantedOnce(0)
	p.abandon()
	p = acquire("one") // it has given back what it had, and was not told of
	p.soon()
	beside := acquire("one")
	sent := w.now()
	p.identified()
	for _, c := range []*call{beside, acquire("one"), acquire("one")} {
		c.returned(0, w.now()+w.Window+w.PermitMargin+w.Notice)
		if !errors.Is(c.err, gatewayqueue.ErrPermitSettled) {
			t.Fatalf("it has identified, and is answered %v: want ErrPermitSettled", c.err)
		}
	}
	w.remaining(999)
	acquire("two").grantedAfterIdentified(sent)
	w.remaining(998)
}

// Of queues in which a caller may leave the line and come back.
func whoComesBackStandsWhereItStood(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	q, ok := w.queue.(interface {
		AcquireSince(ctx context.Context, shardID int, since time.Time, placed func(time.Time) bool) (gatewayqueue.Permit, error)
	})
	if !ok {
		return
	}
	told := make(chan time.Time, 2)
	acquire := func(from time.Time) *call {
		c := w.send(w.Context(), 1, func(c *call, ctx context.Context) (err error) {
			c.permit, err = q.AcquireSince(ctx, 1, from, func(at time.Time) bool { told <- at; return true })
			return err
		})
		w.settle()
		return c
	}
	first := w.acquire(0)
	first.grantedOnce(0)
	leaver := acquire(time.Time{})
	w.inLine(1)
	since := <-told
	w.until(h.Window / 4)
	next := w.acquire(2)
	w.inLine(2)
	leaver.leave(errWeary)
	if err := leaver.refused(w.now(), w.now()+h.Notice); !errors.Is(err, errWeary) {
		t.Fatalf("the error is %v: want the cause of the context", err)
	}
	w.inLine(1)
	w.until(h.Window / 2)
	back := acquire(since)
	w.inLine(2)
	first.abandon()
	back.soon()
	next.waiting()
	sent := w.now()
	back.identified()
	next.grantedAfterIdentified(sent)
	next.abandon()
	w.remaining(999)
}

func aPermitKeepsItsBucketClosed(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	p := w.acquire(0)
	p.grantedOnce(0)
	next := w.wait(1)
	w.until(3 * h.Window)
	next.waiting()
	sent := w.now()
	p.identified()
	next.grantedAfterIdentified(sent)
	w.remaining(998)
}

func aPermitLeavesOtherBucketsAlone(t testing.TB, h Harness) {
	w := h.open(t, full(2))
	p := w.acquire(0)
	p.grantedOnce(0)
	other := w.acquire(1)
	other.granted(0, h.Window/2)
	sent := w.now()
	other.identified()
	next := w.wait(3)
	next.grantedAfterIdentified(sent)
	p.abandon()
	w.remaining(998)
}

func anAbandonedPermitGivesSlotAndUnitBack(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	p := w.acquire(0)
	p.grantedOnce(0)
	w.remaining(999)
	next := w.acquire(1)
	w.until(h.Window / 2)
	now := w.now()
	p.abandon()
	next.granted(now, now+h.Notice)
	next.abandon()
	w.remaining(1000)
	w.wait(2).soon()
}

func anAbandonedPermitGivesTheLastUnitBack(t testing.TB, h Harness) {
	w := h.open(t, limit(2, 1, 10, 100*h.Window))
	p := w.acquire(0)
	p.grantedOnce(0)
	next := w.wait(1)
	w.until(h.Window / 2)
	next.waiting()
	now := w.now()
	p.abandon()
	next.granted(now, now+h.Notice)
	w.remaining(0)
}

func aUnitOfYesterdayDoesNotComeBack(t testing.TB, h Harness) {
	w := h.open(t, limit(2, 1, 10, 2*h.Window))
	p := w.acquire(0)
	p.grantedOnce(0)
	w.until(2*h.Window + h.Window/2)
	w.wait(1).soon()
	p.abandon()
	w.remaining(9)
}

func onlyTheFirstReportCounts(t testing.TB, h Harness) {
	w := h.open(t, full(2))
	p, gone := w.acquire(0), w.acquire(1)
	p.granted(0, h.Window/2)
	gone.granted(0, h.Window/2)
	gone.abandon()
	sent := w.now()
	p.identified()
	next := w.wait(2)
	w.until(h.Window / 2)
	for _, c := range []*call{p, gone} {
		for _, report := range []func() error{
			func() error { return c.permit.Abandon(t.Context()) },
			func() error { return c.permit.Identified(t.Context()) },
			func() error { return c.permit.Abandon(t.Context()) },
		} {
			if err := report(); err != nil {
				t.Fatalf("a second report: %v", err)
			}
		}
	}
	w.wait(3).soon() // the second Identified of gone did not close it
	next.grantedAfterIdentified(sent)
	w.remaining(997)
}

func reportsAfterCloseAreHarmless(t testing.TB, h Harness) {
	w := h.open(t, full(2))
	p, q := w.acquire(0), w.acquire(1)
	p.granted(0, h.Window/2)
	q.granted(0, h.Window/2)
	if err := w.queue.Close(); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{p.permit.Identified(t.Context()), q.permit.Abandon(t.Context())} {
		if err != nil && !errors.Is(err, gatewayqueue.ErrClosed) {
			t.Errorf("a report after Close: %v", err)
		}
	}
}

func aDeadlineIsWithinTheBound(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	p := w.acquire(0)
	p.grantedOnce(0)
	if left := time.Until(p.permit.Deadline()); left <= 0 || left > gatewayqueue.MaxPermitDuration {
		t.Fatalf("the permit is good for %v: want up to %v", left, gatewayqueue.MaxPermitDuration)
	}
	p.abandon()
}

// silent is how long a permit closes its bucket at most if nothing is heard
// of its holder.
func (h Harness) silent() time.Duration {
	return gatewayqueue.MaxPermitDuration + h.Window + h.Margin + h.Notice
}

func aSilentPermitEndsAfterItsBound(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	p := w.acquire(0)
	p.grantedOnce(0)
	next := w.wait(1)
	w.until(gatewayqueue.MaxPermitDuration - time.Second)
	next.waiting()
	w.until(gatewayqueue.MaxPermitDuration + h.Window/2)
	if time.Now().Before(p.permit.Deadline()) {
		t.Fatal("the permit is good beyond its bound")
	}
	next.granted(p.permit.Deadline().Sub(w.start)+h.Window, h.silent())
	w.remaining(998)
}

func aLateIdentifiedKeepsOthersOut(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	late := w.acquire(0)
	late.grantedOnce(0)
	next := w.wait(1)
	next.granted(gatewayqueue.MaxPermitDuration, h.silent())
	last := w.wait(2)
	w.until(next.at + h.Window/2)
	sent := w.now()
	// Too late for the judge, but not too late to keep the next one out.
	if err := late.permit.Identified(t.Context()); err != nil {
		t.Fatal(err)
	}
	last.grantedAfterIdentified(sent)
	w.remaining(997)
}

func aLateIdentifiedOutlastsTheNextHolder(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	late := w.acquire(0)
	late.grantedOnce(0)
	next := w.acquire(1)
	next.granted(gatewayqueue.MaxPermitDuration, h.silent())
	last := w.wait(2)
	w.until(next.at + h.Window/2)
	sent := w.now()
	if err := late.permit.Identified(t.Context()); err != nil {
		t.Fatal(err)
	}
	next.abandon()
	last.grantedAfterIdentified(sent)
	w.remaining(998)
}

func aPermitKeepsOtherPodsOut(t testing.TB, h Harness) {
	w := h.openPods(t, 2, full(1))
	p := w.acquire(0)
	p.grantedOnce(0)
	next := w.acquireIn(t.Context(), w.pods[1], 1)
	w.until(2 * h.Window)
	next.waiting()
	sent := w.now()
	p.identified()
	next.grantedAfterIdentified(sent)
	now := w.now()
	last := w.wait(2)
	next.abandon()
	last.granted(now, w.now()+h.Notice)
	w.remaining(998)
}
