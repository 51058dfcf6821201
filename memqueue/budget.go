// The queue's budget: units per period. docs/design.md, "The budget",
// has the rules; package redisqueue keeps the same ones (lua/lib/period.lua, figures.lua).

package memqueue

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

const (
	// sameReset is how far apart two reports of one reset may be: what asking
	// for it takes, and then some.
	sameReset = time.Minute

	// sameResetByHand is the same where nobody was asked.
	sameResetByHand = 500 * time.Millisecond

	// figureLag is how long an IDENTIFY may take to appear in Discord's figures.
	figureLag = time.Second
)

// budget counts units. A period begins with an IDENTIFY, and a unit belongs to
// the period in which it is spent: a permit that is out is paid by whichever
// period is in force.
type budget struct {
	margin    time.Duration // how long after a grant of Wait its IDENTIFY may be sent
	total     int
	remaining int
	reset     time.Time     // end of the period; zero while none has begun
	slack     time.Duration // so much sooner Discord's may end
	since     time.Time     // when the period began, or the last one ended: older figures are not of it
	first     *ticket       // whose Wait began the period; nil if that is certain, or not known
	unsure    bool          // the period began with a grant that may not have been used

	era     int                  // counts periods and figures taken over, from 1
	out     map[*ticket]struct{} // permits that may yet identify; each is paid in this era
	recent  []*ticket            // those that have identified just now, or may have
	counted int                  // all that ever have, or may have
	spent   map[int]int          // units of this period by shard
	periods int                  // how often another period came into force
}

// begin sets the figures that a queue begins with.
func (b *budget) begin(limit gatewayqueue.SessionStartLimit, now time.Time) {
	b.out, b.spent = make(map[*ticket]struct{}), make(map[int]int)
	b.total, b.since, b.era = limit.Total, now, 1
	b.remaining, b.reset = limit.Remaining, time.Time{}
	if period := limit.Period(); period > 0 {
		b.reset = now.Add(period)
	}
}

// take pays for a grant. A Wait counts as identified at once.
func (b *budget) take(t *ticket, now time.Time) {
	if t.era = b.era; !t.free {
		b.charge(t)
	}
	if t.permit {
		b.out[t] = struct{}{}
		return
	}
	if t.free && b.first != nil && b.first.visit == t.visit {
		b.unsure = true // it was not used then
	}
	if b.identify(t, now) {
		b.first = t
	}
}

func (b *budget) charge(t *ticket) {
	t.era, t.free = b.era, false
	b.remaining = max(0, b.remaining-1)
	b.spent[t.shard]++
}

// identify notes an IDENTIFY, and reports whether it begins the period.
func (b *budget) identify(t *ticket, now time.Time) (first bool) {
	t.used = now
	b.counted++
	for len(b.recent) > 0 && now.Sub(b.recent[0].used) > max(figureLag, b.margin) {
		b.recent = b.recent[1:]
	}
	b.recent = append(b.recent, t)
	if !b.reset.IsZero() && !b.unsure {
		return false
	}
	after := t.within // Discord's period begins with the IDENTIFY itself, which may leave so much later
	if !t.permit {
		after = b.margin
	}
	b.reset, b.slack, b.since = now.Add(after+gatewayqueue.LimitPeriod), after, now
	b.first, b.unsure = nil, false
	return true
}

// identified hears that a permit was used. One that the era in force has not
// paid for, because it had lapsed before, is paid now. Where it is not certain
// that it was used, the next that is begins the period.
func (b *budget) identified(t *ticket, now time.Time, certain bool) {
	delete(b.out, t)
	if t.era != b.era {
		b.charge(t)
	}
	if b.identify(t, now) {
		b.unsure = !certain
	}
}

// lapse ends a permit that nobody has reported: it may have been used, at the
// latest at its deadline.
func (b *budget) lapse(t *ticket) {
	if _, out := b.out[t]; !out {
		return
	}
	delete(b.out, t)
	b.counted++
	if b.reset.IsZero() {
		b.unsure, b.since = true, t.Deadline()
	}
	if b.unsure {
		b.reset = later(b.reset, t.Deadline().Add(gatewayqueue.LimitPeriod))
	}
}

// nextLapse is when the first permit lapses; zero if none is out.
func (b *budget) nextLapse() (at time.Time) {
	for t := range b.out {
		if at.IsZero() || t.closes.Before(at) {
			at = t.closes
		}
	}
	return at
}

// giveBack returns the unit that t has paid, unless it was one of an earlier era.
func (b *budget) giveBack(t *ticket) {
	delete(b.out, t)
	for i := len(b.recent) - 1; i >= 0; i-- {
		if b.recent[i] == t {
			b.recent = append(b.recent[:i:i], b.recent[i+1:]...)
			break
		}
	}
	if t.era != b.era || t.free {
		return
	}
	t.era = 0
	b.remaining = min(b.remaining+1, b.total)
	if b.spent[t.shard]--; b.spent[t.shard] <= 0 {
		delete(b.spent, t.shard)
	}
	if b.first == t {
		b.first, b.unsure = nil, true
	}
	if b.remaining == b.total {
		b.reset, b.unsure = time.Time{}, false // nothing was spent: no period has begun
	}
}

// refill begins a new period once the old one has ended. It pays for those that
// may identify in it though they were granted before.
func (b *budget) refill(now time.Time) bool {
	if b.reset.IsZero() || now.Before(b.reset) {
		return false
	}
	ended, slack := b.reset, b.slack
	b.remaining, b.reset, b.slack, b.since = b.total, time.Time{}, 0, ended
	b.first, b.unsure = nil, false
	clear(b.spent)
	b.era++
	b.periods++
	for t := range b.out {
		if t.Deadline().Before(ended) {
			delete(b.out, t)
			continue
		}
		b.charge(t)
	}
	for _, t := range b.recent {
		if t.used.Add(b.margin + slack).After(ended) {
			b.charge(t)
			b.unsure, b.reset = true, ended.Add(b.margin+gatewayqueue.LimitPeriod)
		}
	}
	return true
}

// asked is what was the case when figures were asked for.
type asked struct {
	byHand  bool // nobody was asked: they are as of now
	at      time.Time
	counted int // by then
	recent  int // of them, those that Discord may not know yet
}

// asking is for figures that Discord is asked for now.
func (b *budget) asking(now time.Time) asked {
	a := asked{at: now, counted: b.counted}
	for _, t := range b.recent {
		if now.Sub(t.used) <= figureLag {
			a.recent++
		}
	}
	return a
}

// byHand is for figures that somebody gives.
func (b *budget) byHand(now time.Time) asked { return asked{byHand: true, at: now, counted: b.counted} }

// update takes over Discord's figures, and reports false if they were asked for
// before the period began.
func (b *budget) update(limit gatewayqueue.SessionStartLimit, a asked, now time.Time) bool {
	if a.at.Before(b.since) {
		return false
	}
	used := b.counted - a.counted + a.recent
	left, reset, another := b.agree(limit, used, a.byHand, now)
	if another {
		b.first, b.unsure = nil, false
		b.periods++
		clear(b.spent)
	}
	if !reset.Equal(b.reset) {
		b.slack = 0
	}
	b.total, b.remaining, b.reset = limit.Total, min(left, limit.Total), reset
	b.era++
	for t := range b.out { // the figures are less by them
		t.era = b.era
		if another {
			b.spent[t.shard]++
		}
	}
	for i := len(b.recent); used > 0 && i > 0; used, i = used-1, i-1 {
		b.recent[i-1].era = b.era // and by these
	}
	return true
}

// agree is the table of docs/design.md, "Figures": what is left, and until when,
// by our figures and Discord's. used are the identifies that Discord's may not
// contain, besides the permits that are out. another says that Discord's period
// is not ours.
func (b *budget) agree(limit gatewayqueue.SessionStartLimit, used int, byHand bool, now time.Time) (left int, reset time.Time, another bool) {
	theirs := max(0, limit.Remaining-used-len(b.out))
	lower := min(b.remaining+max(0, limit.Total-b.total), theirs)
	full := limit.Remaining == limit.Total
	var ends time.Time
	if limit.ResetAfter > 0 {
		ends = now.Add(limit.ResetAfter)
	}
	same := sameReset
	if byHand {
		same = sameResetByHand
	}
	apart := !ends.IsZero() && ends.Sub(b.reset).Abs() > same
	switch {
	case b.reset.IsZero() && full: // no period has begun
		return theirs, time.Time{}, false
	case b.reset.IsZero():
		return theirs, now.Add(limit.Period()), false
	case full && used == 0 && (ends.IsZero() && !byHand || apart && ends.After(b.reset)): // none has at Discord
		return theirs, time.Time{}, true
	case full && apart, ends.IsZero():
		return lower, b.reset, false
	case !full && (byHand || apart):
		return theirs, ends, true
	}
	return lower, later(b.reset, ends), false
}

// exhaustedUntil is when the budget has units again, and whether that is
// certain: a permit that is out may be abandoned, and a total of 0 waits for an
// update.
func (b *budget) exhaustedUntil() (time.Time, bool) {
	return b.reset, b.remaining == 0 && len(b.out) == 0 && !b.reset.IsZero()
}

func (b *budget) event() gatewayqueue.Event {
	return gatewayqueue.Event{Kind: gatewayqueue.EventBudget, Remaining: b.remaining, Total: b.total}
}
