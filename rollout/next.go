// The first moment from which a roll-out may be done.

package rollout

import (
	"slices"
	"sort"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// next is the first moment after At from which the roll-out may be done, to the
// millisecond; zero if no such moment is known.
//
// What is in its way changes at a few moments: a hold or a pause is over, a line is
// through, a period of the budget ends. Between two of them it can only get earlier than
// it should be, or later: the later the shards come, the fewer of them are granted before
// the period ends, and the more after it. So the first moment at which it is not too
// early any more is the only one that needs a look.
func next(s gatewayqueue.Status, r Request) time.Time {
	closed := closedBy(s)
	if closed.unknown != nil || closed.forever {
		return time.Time{}
	}
	waiting := newSimulation(s, Request{At: r.At}, closed.until)
	waiting.run()
	resets := slices.Clone(waiting.ends)
	if !waiting.reset.IsZero() {
		resets = append(resets, waiting.reset)
	}
	changes := append([]time.Time{closed.pausedUntil, closed.until.Add(-longestHeld), closed.until, waiting.last}, resets...)
	slices.SortFunc(changes, time.Time.Compare)
	changes = slices.DeleteFunc(changes, func(t time.Time) bool { return !t.After(r.At) })
	from := r.At
	for _, to := range append(changes, time.Time{}) {
		if r.At = from; mayBegin(s, r) {
			return from
		}
		if to.IsZero() {
			break
		}
		if at := between(s, r, to, firstAfter(resets, from)); !at.IsZero() {
			return at
		}
		from = to
	}
	return time.Time{}
}

// between is the first moment after At and before to from which the roll-out may be done,
// where the period of the budget ends at the given moment; else zero.
func between(s gatewayqueue.Status, r Request, to, ends time.Time) time.Time {
	from := r.At
	after := func(ms int) time.Time { return from.Add(time.Duration(ms) * time.Millisecond) }
	last := int((to.Sub(from) - 1) / time.Millisecond)
	tooEarly := func(ms int) bool {
		r.At = after(ms)
		return tooEarly(s, r, ends)
	}
	if last < 1 || tooEarly(last) {
		return time.Time{}
	}
	if r.At = after(1 + sort.Search(last-1, func(n int) bool { return !tooEarly(n + 1) })); mayBegin(s, r) {
		return r.At
	}
	return time.Time{}
}

func mayBegin(s gatewayqueue.Status, r Request) bool {
	p, _ := planAt(s, r)
	return p.OK
}

// tooEarly says that it helps if the shards come later, while the period of the budget
// lasts that ends at the given moment.
func tooEarly(s gatewayqueue.Status, r Request, ends time.Time) bool {
	p, out := planAt(s, r)
	if p.OK || out == nil {
		return false
	}
	for _, period := range p.Periods {
		if period.Ends.Equal(ends) && period.Left < p.Reserve+p.CrashReserve {
			return true
		}
	}
	return p.Reason == ReasonTime || out.stalled > 0 && out.stalledUntil.Equal(ends)
}

// firstAfter is the first of the moments that is after t; zero if none is.
func firstAfter(moments []time.Time, t time.Time) time.Time {
	for _, m := range moments {
		if m.After(t) {
			return m
		}
	}
	return time.Time{}
}
