// Package rollout says whether a fleet may be deployed: what that costs, how long it
// takes, and what is left of the budget for shards that crash. It decides by one
// snapshot of a queue, and asks nobody.
package rollout

import (
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/words"
)

// Reasons of a [Plan], besides those of package gatewayqueue that keep a queue from granting.
const (
	ReasonStorm        gatewayqueue.Reason = "storm"         // Discord refuses sessions in numbers: their shards need the budget
	ReasonCrashReserve gatewayqueue.Reason = "crash reserve" // units would be spent that are kept for shards that crash
	ReasonTime         gatewayqueue.Reason = "time"          // it would take longer than Request.Within
)

// MaxShards is the most shards that a [Request] may have.
const MaxShards = 100_000

// longestHeld is how long a hold may keep a roll-out from beginning: the usual one,
// after a start or a loss of state, lasts 10 s.
const longestHeld = time.Minute

// Request is a roll-out that somebody has in mind: the shards 0 to Shards-1 come
// at once, and identify.
type Request struct {
	Shards int // 1 to [MaxShards]

	// At is when they come. A moment that has passed on the queue's clock, such as the
	// zero time, is now.
	At time.Time

	// CrashReserve is what must be left at every moment of the roll-out, besides what
	// the queue itself never grants, for shards that lose their session. nil is as many
	// units as there are shards (or as have identified in this period, if these are
	// more), so that each can crash and identify once more; but at most a quarter of the
	// total, so that a fleet of half a budget can be deployed at all.
	CrashReserve *Amount

	// Within is how long the roll-out may take at most; 0 is as long as it takes.
	Within time.Duration
}

// Plan is what becomes of a [Request], if nobody else identifies meanwhile but
// those that stand in line already.
type Plan struct {
	OK     bool                `json:"ok"`               // it may be done
	Reason gatewayqueue.Reason `json:"reason,omitempty"` // why not, in a word; empty where it may
	Why    string              `json:"why,omitempty"`    // the same for people

	Shards int       `json:"shards"`
	Ahead  int       `json:"ahead"` // tickets that stand in line now; each is granted first in its bucket, and costs a unit
	At     time.Time `json:"at"`    // when the roll-out begins

	// Up is when the last shard is granted, and Takes how long that is after At. Both
	// are zero where that is not known: the limits are not, grants are paused until
	// somebody resumes them, or more than a week of budgets would be needed.
	Up    time.Time     `json:"up,omitzero"`
	Takes time.Duration `json:"takes_ns,omitempty"`

	Cost    int      `json:"cost"`    // units that the shards spend
	Periods []Period `json:"periods"` // of the budget in which they spend them, in order

	// Left is what is left of the budget right after the last of the shards was
	// granted, as Status would show it then: Reserve of it is never granted. Lowest is
	// the least that was left before, from the first of them on.
	Left   int `json:"left"`
	Lowest int `json:"lowest"`
	Total  int `json:"total"`

	Reserve      int `json:"reserve"`       // that the queue never grants
	CrashReserve int `json:"crash_reserve"` // that was to be left besides

	// Next is the first moment after At from which it may be done, to the millisecond; zero
	// where it may be done at At, or no such moment is known. It may be right before a
	// reset, if the budget lasts until then and the next one for the rest.
	Next time.Time `json:"next,omitzero"`
}

// Period is the part of a roll-out that falls into one period of the budget.
type Period struct {
	Ends time.Time `json:"ends"` // 24 h after its first IDENTIFY
	Cost int       `json:"cost"` // units that the roll-out spends in it
	Left int       `json:"left"` // after the last of these
}

// NewPlan says whether a roll-out may be done, by a snapshot of its queue, and what becomes of it.
// In doubt it may not: while the limits are unknown ([gatewayqueue.ReasonSource]), while Redis grants
// nothing by what it holds ([gatewayqueue.ReasonStore]), in a storm, as far
// as the snapshot knows of it, and while grants are paused or held. It may not if one
// of the shards would have to wait for a reset of the budget ([gatewayqueue.ReasonBudget]), or would
// spend what is kept for crashes.
//
// A unit is of the period in which its grant is. A period ends at the reset, and the
// next begins, full, with the next grant. A shard that backs off because it identifies too
// often comes when its backoff is over.
//
// It returns an [gatewayqueue.InvalidError] for a request that is out of range.
func NewPlan(s gatewayqueue.Status, r Request) (Plan, error) {
	switch {
	case r.Shards < 1 || r.Shards > MaxShards:
		return Plan{}, &gatewayqueue.InvalidError{Field: "shards", Value: r.Shards, Want: fmt.Sprintf("1 to %d", MaxShards)}
	case r.Within < 0:
		return Plan{}, &gatewayqueue.InvalidError{Field: "within", Value: r.Within, Want: "0 or more"}
	}
	if r.At.Before(s.Time) {
		r.At = s.Time
	}
	p, _ := planAt(s, r)
	if !p.OK {
		p.Next = next(s, r)
	}
	return p, nil
}

// crashReserve is what is kept for crashes.
func crashReserve(s gatewayqueue.Status, r Request) int {
	if r.CrashReserve != nil {
		return r.CrashReserve.Of(s.Budget.Total)
	}
	return min(max(r.Shards, s.SpentBy), s.Budget.Total/4)
}

// planAt is the plan of a request whose At has not passed, without Next, and how it was
// simulated; nil where there was no need to.
func planAt(s gatewayqueue.Status, r Request) (Plan, *simulation) {
	p := Plan{
		Shards: r.Shards, Ahead: s.Waiting(), At: r.At, Cost: r.Shards, Periods: []Period{},
		Total: s.Budget.Total, Left: s.Budget.Remaining, Lowest: s.Budget.Remaining, Reserve: s.Budget.Reserve, CrashReserve: crashReserve(s, r),
	}
	closed := closedBy(s)
	no := func(reason gatewayqueue.Reason, why string) { // the first reason counts
		if p.Reason == "" {
			p.Reason, p.Why = reason, why
		}
	}
	switch {
	case unlimited(s):
		p.OK, p.Up, p.Cost = true, p.At, 0
		return p, nil
	case closed.unknown != nil:
		no(closed.unknown.Reason, closed.unknown.Text)
		return p, nil
	case closed.paused != nil && (closed.forever || closed.pausedUntil.After(p.At)):
		no(closed.paused.Reason, closed.paused.Text)
	case s.Storm != nil && !s.Storm.Since.IsZero():
		no(ReasonStorm, fmt.Sprintf("Discord refuses sessions in numbers, %d in the last minute: their shards come back first", s.Storm.Refused))
	case closed.until.Sub(p.At) > longestHeld:
		no(gatewayqueue.ReasonHold, words.Hold)
	}
	if closed.forever {
		return p, nil
	}
	out := newSimulation(s, r, closed.until)
	out.run()
	out.fill(&p)
	kept := p.Reserve + p.CrashReserve
	switch {
	case out.stalled > 0 && p.Shards > p.Total-p.Reserve:
		no(gatewayqueue.ReasonBudget, fmt.Sprintf("%d shards are more than a whole budget: %d units, of which %d are never granted", p.Shards, p.Total, p.Reserve))
	case out.stalled > 0:
		no(gatewayqueue.ReasonBudget, fmt.Sprintf("the budget is too small: %d of %d shards would wait until its reset", out.stalled, p.Shards))
	case p.Lowest < kept && p.Shards > p.Total-kept:
		no(ReasonCrashReserve, fmt.Sprintf("even of a full budget of %d, %d shards leave less than the %d that are kept for crashes", p.Total, p.Shards, p.CrashReserve))
	case p.Lowest < kept:
		no(ReasonCrashReserve, fmt.Sprintf("only %d would be left of the %d that are kept for crashes", max(0, p.Lowest-p.Reserve), p.CrashReserve))
	case r.Within > 0 && p.Takes > r.Within:
		no(ReasonTime, fmt.Sprintf("it takes %v, which is longer than %v", p.Takes.Round(time.Second), r.Within))
	}
	p.OK = p.Reason == ""
	return p, out
}

// unlimited says that the queue grants to everybody at once, and counts nothing.
func unlimited(s gatewayqueue.Status) bool {
	return s.Budget.MaxConcurrency == 0 && !s.Budget.Unknown && s.Budget.Never == ""
}

// closing is what keeps every bucket closed.
type closing struct {
	unknown     *gatewayqueue.BlockedError // nothing is known of the budget, or nothing is ever granted
	paused      *gatewayqueue.BlockedError // somebody has paused the grants
	pausedUntil time.Time
	forever     bool      // until somebody resumes them
	until       time.Time // when grants go on, after a hold or a pause
}

func closedBy(s gatewayqueue.Status) (c closing) {
	c.until = s.Time.Add(s.Hold)
	for _, e := range s.Blocked() {
		switch e.Reason {
		case gatewayqueue.ReasonSource, gatewayqueue.ReasonLimits, gatewayqueue.ReasonStore:
			c.unknown = e
		case gatewayqueue.ReasonPaused:
			c.paused, c.forever, c.pausedUntil = e, e.Wait == 0, s.Time.Add(e.Wait)
			c.until = later(c.until, c.pausedUntil)
		}
	}
	return c
}
