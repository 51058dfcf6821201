// Periods of the budget, and Discord's figures: rules that hold for every queue
// (docs/design.md, "The budget").

package queuetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

var periods = []scenario{
	{"AnAbandonedGrantBeginsNoPeriod", anAbandonedGrantBeginsNoPeriod, virtual},
	{"APermitBeginsThePeriodWhenItIsIdentified", aPermitBeginsThePeriodWhenItIsIdentified, virtual},
	{"APermitThatLapsedMayHaveBegunThePeriod", aPermitThatLapsedMayHaveBegunThePeriod, virtual},
	{"PermitsThatAreOutAtTheResetArePaidByTheNewPeriod", permitsThatAreOutAtTheReset, 0},
	{"AnIdentifyBetweenDiscordsResetAndOursIsPaidByTheNewPeriod", anIdentifyBetweenDiscordsResetAndOurs, virtual},
	{"APermitOfTheOldPeriodGivesNothingToTheNew", aPermitOfTheOldPeriodGivesNothing, 0},
	{"ATotalThatIsOutInPermitsIsWaitedFor", aTotalThatIsOutInPermits, virtual},
	{"FiguresDoNotKnowThePermitsThatAreOut", figuresDoNotKnowThePermits, 0},
	{"FiguresAreTakenOverByOneTable", figuresAreTakenOverByOneTable, refresh},
	{"FiguresDoNotKnowWhatWasJustGranted", figuresDoNotKnowWhatWasJustGranted, refresh},
	{"ADefaultResetStaysWhereItIs", aDefaultResetStaysWhereItIs, virtual | refresh},
}

// Discord's period is that of the judge: it begins with the first IDENTIFY.
func anAbandonedGrantBeginsNoPeriod(t testing.TB, h Harness) {
	const later = 3 * time.Hour
	w := h.open(t, limit(2, 2, 2, 0))
	for shard := range 2 {
		p := w.acquire(shard)
		p.soon()
		p.abandon()
	}
	if reset := w.status().Budget.Reset; !reset.IsZero() {
		t.Fatalf("the period ends at %v: want none", reset)
	}
	w.until(later)
	first := w.acquire(0)
	first.soon()
	first.identified()
	w.wait(1).soon()
	begun := w.now()
	w.remaining(0)
	next := w.wait(0)
	w.until(gatewayqueue.LimitPeriod + time.Hour)
	next.waiting()
	next.granted(first.at+gatewayqueue.LimitPeriod, begun+gatewayqueue.LimitPeriod+h.Notice)
}

func aPermitBeginsThePeriodWhenItIsIdentified(t testing.TB, h Harness) {
	w := h.open(t, limit(1, 1, 1, 0))
	p := w.acquire(0)
	p.soon()
	w.until(time.Minute)
	if reset := w.status().Budget.Reset; !reset.IsZero() {
		t.Fatalf("the period ends at %v, before it has begun", reset)
	}
	p.identified()
	w.wait(0).granted(time.Minute+gatewayqueue.LimitPeriod, time.Minute+gatewayqueue.LimitPeriod+h.Notice)
}

// The lapse may have been an IDENTIFY or not: whichever it was, no period of
// ours ends before Discord's.
func aPermitThatLapsedMayHaveBegunThePeriod(t testing.TB, h Harness) {
	for _, used := range []bool{true, false} {
		w := h.open(t, limit(2, 2, 2, 0))
		p := w.acquire(0)
		p.soon()
		if used { // and never reported
			w.judge.Identify(0)
		}
		// A Redis queue renews a permit as long as its pod lives, up to the bound.
		w.until(gatewayqueue.MaxPermitDuration + 3*h.Window)
		w.until(time.Hour)
		q := w.acquire(1)
		q.soon()
		q.identified()
		w.remaining(0)
		w.wait(0).granted(time.Hour+gatewayqueue.LimitPeriod, time.Hour+gatewayqueue.LimitPeriod+h.Notice)
	}
}

func permitsThatAreOutAtTheReset(t testing.TB, h Harness) {
	w := h.open(t, limit(2, 2, 4, 2*h.Window))
	out := []*call{w.acquire(0), w.acquire(1)}
	for _, p := range out {
		p.granted(0, h.Window)
	}
	w.until(2*h.Window + h.Window/4) // the reset
	for _, p := range out {
		p.identified()
	}
	w.remaining(2)
	for _, c := range w.waits(2, 3) {
		c.granted(2*h.Window, w.now()+2*h.Window+h.Margin+h.Notice)
	}
	w.remaining(0)
}

// Ours is later by as much as the first IDENTIFY might have left after its grant.
func anIdentifyBetweenDiscordsResetAndOurs(t testing.TB, h Harness) {
	w := h.open(t, limit(4, 3, 3, 0))
	w.wait(0).soon()
	w.until(gatewayqueue.LimitPeriod + h.Margin/2)
	p := w.acquire(1)
	p.soon()
	p.identified()
	w.until(gatewayqueue.LimitPeriod + time.Minute)
	for _, c := range w.waits(2, 3) {
		c.soon()
	}
	w.remaining(0)
	w.wait(0).waiting()
}

func aPermitOfTheOldPeriodGivesNothing(t testing.TB, h Harness) {
	w := h.open(t, limit(2, 2, 4, 2*h.Window))
	p := w.acquire(0)
	p.granted(0, h.Window)
	w.until(2*h.Window + h.Window/4) // the reset
	w.wait(1).granted(2*h.Window, 3*h.Window+h.Notice)
	w.remaining(2) // the new period has paid for both
	p.abandon()
	w.remaining(3)
	p.abandon()
	w.remaining(3)
}

// All units are out in permits: the period begins once they are reported, or lapse.
func aTotalThatIsOutInPermits(t testing.TB, h Harness) {
	for _, settle := range []string{"identified", "abandoned", "lapsed"} {
		w := h.open(t, limit(2, 1, 1, 0))
		p := w.acquire(0)
		p.soon()
		next := w.wait(1)
		w.until(h.Window)
		next.waiting()
		switch settle {
		case "identified":
			p.identified()
			next.granted(w.now()+gatewayqueue.LimitPeriod-time.Second, w.now()+gatewayqueue.LimitPeriod+h.Notice)
		case "abandoned":
			p.abandon()
			next.granted(0, w.now()+h.Notice)
		case "lapsed":
			next.granted(gatewayqueue.LimitPeriod, gatewayqueue.LimitPeriod+2*gatewayqueue.MaxPermitDuration)
		}
	}
}

func figuresDoNotKnowThePermits(t testing.TB, h Harness) {
	for _, settle := range []string{"identified", "abandoned"} {
		w := h.open(t, limit(1, 20, 20, 0))
		p := w.acquire(0)
		p.soon()
		w.update(limit(1, 5, 20, time.Hour)) // another program has spent 15
		w.remaining(4)
		if settle == "identified" {
			p.identified()
			w.remaining(4)
			continue
		}
		p.abandon()
		w.remaining(5)
	}
}

// figures are what is left of a total, and until when; 0 is no reset.
type figures struct {
	left, total int
	reset       time.Duration
}

func (f figures) String() string { return fmt.Sprintf("%d of %d for %v", f.left, f.total, f.reset) }

func figuresAreTakenOverByOneTable(t testing.TB, h Harness) {
	const h1, h3 = time.Hour, 3 * time.Hour
	for _, c := range []struct {
		ours, theirs figures
		byHand       bool
		want         figures
	}{
		{figures{10, 10, 0}, figures{10, 10, 0}, false, figures{10, 10, 0}},
		{figures{10, 10, 0}, figures{10, 10, h1}, false, figures{10, 10, 0}},
		{figures{10, 10, 0}, figures{4, 10, h1}, false, figures{4, 10, h1}},
		{figures{10, 10, 0}, figures{4, 10, 0}, false, figures{4, 10, gatewayqueue.LimitPeriod}},
		{figures{10, 10, 0}, figures{4, 10, h1}, true, figures{4, 10, h1}},

		{figures{7, 10, h1}, figures{3, 10, h1}, false, figures{3, 10, h1}},
		{figures{7, 10, h1}, figures{9, 10, h1}, false, figures{7, 10, h1}}, // of one period only lower
		{figures{7, 10, h1}, figures{9, 10, h3}, false, figures{9, 10, h3}}, // another period
		{figures{7, 10, h3}, figures{9, 10, h1}, false, figures{9, 10, h1}},
		{figures{7, 10, h1}, figures{3, 10, h3}, false, figures{3, 10, h3}},
		{figures{7, 10, h1}, figures{9, 10, 0}, false, figures{7, 10, h1}}, // which period, is not known
		{figures{7, 10, h1}, figures{3, 10, 0}, false, figures{3, 10, h1}},
		{figures{7, 10, h1}, figures{10, 10, 0}, false, figures{10, 10, 0}}, // none has begun
		{figures{0, 10, h1}, figures{10, 10, 0}, false, figures{10, 10, 0}},
		{figures{7, 10, h1}, figures{10, 10, h1}, false, figures{7, 10, h1}},

		{figures{7, 10, h1}, figures{9, 10, h1}, true, figures{9, 10, h1}}, // by hand: as of now
		{figures{7, 10, h1}, figures{3, 10, h1}, true, figures{3, 10, h1}},
		{figures{7, 10, h1}, figures{9, 10, h3}, true, figures{9, 10, h3}},
		{figures{7, 10, h3}, figures{9, 10, h1}, true, figures{9, 10, h1}},
		{figures{7, 10, h1}, figures{10, 10, 0}, true, figures{7, 10, h1}}, // no report, but a default
		{figures{7, 10, h1}, figures{9, 10, 0}, true, figures{7, 10, h1}},
		{figures{7, 10, h1}, figures{3, 10, 0}, true, figures{3, 10, h1}},

		{figures{40, 1000, h1}, figures{1040, 2000, h1}, false, figures{1040, 2000, h1}}, // the total rises
		{figures{40, 1000, h1}, figures{1040, 2000, h1}, true, figures{1040, 2000, h1}},
		{figures{40, 1000, h1}, figures{1900, 2000, h1}, false, figures{1040, 2000, h1}},
		{figures{40, 1000, h1}, figures{2000, 2000, 0}, true, figures{1040, 2000, h1}},
		{figures{40, 1000, h1}, figures{30, 500, h1}, false, figures{30, 500, h1}}, // or falls
		{figures{700, 1000, h1}, figures{500, 500, 0}, true, figures{500, 500, h1}},
	} {
		w := h.open(t, limit(1, c.ours.left, c.ours.total, c.ours.reset))
		w.settle()
		if c.ours.reset > 0 || h.Shared {
			w.queueKnows()
		}
		theirs := limit(1, c.theirs.left, c.theirs.total, c.theirs.reset)
		if c.byHand {
			w.update(theirs)
		} else {
			h.Refresh(t, w.queue, theirs)
		}
		s := w.status()
		got := figures{s.Budget.Remaining, s.Budget.Total, 0}
		if !s.Budget.Reset.IsZero() {
			got.reset = s.Budget.Reset.Sub(s.Time)
		}
		if off := (got.reset - c.want.reset).Abs(); got.left != c.want.left || got.total != c.want.total || off > h.Slack+h.Window {
			t.Errorf("ours %v, theirs %v, by hand %v: %v, want %v", c.ours, c.theirs, c.byHand, got, c.want)
		}
	}
}

// queueKnows makes a shared queue meet its limits, by a caller that leaves.
func (w *world) queueKnows() {
	w.Helper()
	if w.status().Budget.Unknown {
		p := w.acquire(0)
		select {
		case <-p.done:
			p.abandon()
		case <-time.After(w.Slack + w.Notice):
			p.leave(nil)
			<-p.done
		}
		w.settle()
	}
}

func figuresDoNotKnowWhatWasJustGranted(t testing.TB, h Harness) {
	w := h.open(t, limit(2, 9, 10, time.Hour))
	w.wait(0).soon()
	p := w.acquire(1)
	p.soon()
	h.Refresh(t, w.queue, limit(2, 9, 10, time.Hour))
	w.remaining(7)
	p.identified()
	h.Refresh(t, w.queue, limit(2, 8, 10, time.Hour)) // it has heard of one of them
	w.remaining(6)
	time.Sleep(3 * time.Second)
	h.Refresh(t, w.queue, limit(2, 7, 10, time.Hour))
	w.remaining(6)
}

// Grants that no IDENTIFY follows: Discord says full, and names no reset.
func aDefaultResetStaysWhereItIs(t testing.TB, h Harness) {
	w := h.open(t, limit(5, 5, 5, 0))
	for shard := range 5 {
		if err := w.queue.Wait(t.Context(), shard); err != nil {
			t.Fatal(err)
		}
	}
	w.until(time.Minute)
	var reset time.Time
	for range 3 {
		h.Refresh(t, w.queue, limit(5, 2, 5, 0))
		if at := w.status().Budget.Reset; !reset.IsZero() && !at.Equal(reset) {
			t.Fatalf("the reset moves from %v to %v", reset, at)
		}
		reset = w.status().Budget.Reset
		time.Sleep(time.Minute)
	}
	h.Refresh(t, w.queue, limit(5, 5, 5, 0))
	w.remaining(5)
	w.wait(0).soon()
}
