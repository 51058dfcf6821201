package pod

import (
	"fmt"
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// claim is a claim on its way.
type claim struct {
	line    *line
	first   *Waiter   // for whom it is
	others  []*Waiter // that take their places with it
	request wire.Claim
}

// claimed hears the answer to a claim: who is granted, refused or has to back off,
// and when to ask again.
func (p *Pod) claimed(c *claim, a answer[wire.ClaimReply]) {
	r, err := a.reply, a.err
	answered := err == nil
	if answered {
		p.health.moved(p)
		p.server.replicas = r.Agreed.Replicas
		if want := p.server.replicas; r.Code == "granted" && a.acked < want {
			err = &wire.UnacknowledgedError{Acked: a.acked, Want: want, At: p.now.Time()}
		}
	}
	p.decide(c, a, err)
	p.heard(err)
	if answered { // also where a grant was not acknowledged
		p.met(r.Server, r.Hold())
		p.agree(r)
	}
	if err == nil && r.Code == "granted" {
		p.unacknowledged(nil)
		p.probe(c.line.bucket)
	}
}

// decide does what an answer comes to.
func (p *Pod) decide(c *claim, a answer[wire.ClaimReply], err error) {
	l, r, first := c.line, a.reply, c.first
	l.calls--
	all := append(slices.Clone(c.others), first)
	if first.stage == claiming {
		first.stage = sent
	}
	defer func() {
		for _, w := range all {
			p.returned(w)
		}
	}()
	switch {
	case err != nil:
		if wire.ClassOf(err) == wire.Returned {
			p.refuseLine(l, p.explained(err))
		}
		p.failed(l, err)
		return
	case r.Code == "resync":
		l.failures, l.fresh = 0, true
		p.unready(c.request.Known)
		return
	}
	l.failures = 0
	defer func() { // once it is known whether it is granted in the same moment
		for _, w := range all {
			p.place(w)
		}
	}()
	current := p.view.Same(c.request.Known)
	for _, w := range all {
		if w.Arrival == 0 {
			w.Arrival = r.Now
		}
		if current && w.stage == sent {
			w.stage = placed
		}
	}
	if !current { // of a state, or of limits, that are no more
		if r.Code == "granted" {
			p.grant(c, a.sent, r.Now)
		}
		return
	}
	p.remember(c.request.Known, r.Seq, r.Left, r.Reset)
	l.ask = p.askIn(r.Wait + time.Duration(r.Ahead)*handoff)
	if l.again {
		l.ask = time.Time{}
	}
	l.ahead, l.exhausted = r.Ahead, r.Code == "exhausted"
	l.sort()
	if r.Back {
		for _, w := range l.waiters {
			if w != first && w.stage == placed {
				w.stage, l.fresh = sent, true
			}
		}
	}
	switch r.Code {
	case "granted":
		p.hearResume()
		p.grant(c, a.sent, r.Now)
		p.grantedAt = p.now.Time()
		if r.More {
			p.beatSoon()
		}
		if !c.request.Permit && r.Left <= p.cfg.Reserve.Of(p.view) {
			p.lastUnit()
		}
	case "gone":
		p.renameSettled(l, first)
	case "backoff":
		p.backOff(l, first, r.Wait)
	case "exhausted":
		l.usedUp = r.Now
		p.beatSoon() // with the longer lease
		p.block(p.budgetBlocks(r.Wait))
		p.exhausted(r.Wait)
	default: // "wait", or "paused"
		if r.Code == "paused" {
			p.tellPaused()
			p.refusePaused(l)
		}
		p.meetHead(l, first, r.Head)
	}
	p.refuseLate(l, r.Shut)
}

// lastUnit hears that a grant of Wait has left no unit but the reserve's. Those that
// cannot wait for the reset are told by their own answers, unless a permit that is
// out may give its unit back.
func (p *Pod) lastUnit() {
	for _, l := range p.lines {
		l.askNow()
	}
}

// renameSettled gives a waiter a new ticket whose own was settled in another life,
// or is forged. One of a wait that was settled has had its grant.
func (p *Pod) renameSettled(l *line, w *Waiter) {
	switch {
	case !w.waits():
	case w.Visit != "":
		w.line.waiters = remove(w.line.waiters, w)
		p.refuse(w, errSettled)
	default:
		w.ticket, w.stage, l.fresh = p.newTicket(w.Shard, ""), unsent, true
	}
}

// errSettled says that the wait of a ticket has had its grant.
var errSettled = fmt.Errorf("redisqueue: this wait has had its grant, which was reported: %w", gatewayqueue.ErrPermitSettled)

// backOff takes a waiter out of its line until its shard may identify again, which
// Redis counts from the shard's last identify, whichever pods ask meanwhile and for
// how long.
func (p *Pod) backOff(l *line, w *Waiter, d time.Duration) {
	l.ask = time.Time{} // for the next in line
	if !w.waits() {
		return
	}
	w.line.waiters = remove(w.line.waiters, w)
	if !w.Deadline.IsZero() && w.Deadline.Before(p.now.Time().Add(d)) {
		p.refuse(w, outlasts(d, backoffBlocks(w.Shard, d)))
		return
	}
	w.stage, w.line, w.Arrival = backingOff, nil, 0
	p.backingOff = append(p.backingOff, w)
	w.backoff = p.after(d, func() {
		p.backingOff = remove(p.backingOff, w)
		w.backoff, w.stage = nil, unsent
		p.enter(w)
	})
	p.tellBackoff(w, l.bucket, d)
}

// meetHead looks at the first ticket of the whole line. If it is this pod's and
// not the one that was claimed for, either a later ticket stands first (by the
// shard, in one millisecond), or nobody waits for it any more: a late copy of
// an old call put it there.
func (p *Pod) meetHead(l *line, first *Waiter, head string) {
	_, pod, _, ok := wire.ParseTicket(head)
	if !ok || pod != p.cfg.Name || head == first.ticket {
		return
	}
	l.ask = time.Time{}
	i := slices.IndexFunc(l.waiters, func(w *Waiter) bool { return w.ticket == head })
	if i < 0 {
		l.orphans = append(l.orphans, head) // its unit may have been used: it gives back no more than the place
		return
	}
	w := l.waiters[i]
	l.waiters = slices.Insert(slices.Delete(l.waiters, i, i+1), 0, w)
}

// exhausted refuses those that cannot, or need not, wait for the reset.
func (p *Pod) exhausted(reset time.Duration) {
	for _, l := range slices.Clone(p.lines) {
		p.refuseIf(l, &gatewayqueue.ExhaustedError{ResetAfter: reset}, func(w *Waiter) bool {
			return p.cfg.FailExhausted && !w.paid() && w.stage != claiming // its own answer will tell
		})
		if reset > 0 {
			p.refuseBy(l, reset, p.budgetBlocks(reset))
		}
	}
}

// refuseLate refuses those whose deadline ends before their bucket opens.
func (p *Pod) refuseLate(l *line, shut time.Duration) {
	if shut <= 0 {
		return
	}
	b := &gatewayqueue.BlockedError{Reason: gatewayqueue.ReasonLine, Text: fmt.Sprintf("bucket %d is closed", l.bucket)}
	switch {
	case p.server.still:
		b = standsStill()
		b.Text += " (" + b.Cure + ")"
	case p.hold.until.After(p.now.Time()):
		b = holdBlocks(shut, p.hold.why)
	}
	p.refuseBy(l, shut, b)
}

// unitsCame has the lines ask again that wait for a unit. ended is the reset (ms) that
// brought units, or 0. A line that was told after that reset that no unit is left
// sleeps on: even a full budget has none for it.
func (p *Pod) unitsCame(ended int64) {
	for _, l := range p.lines {
		if l.exhausted && (ended == 0 || l.usedUp < ended) {
			l.exhausted = false
			l.askNow()
		}
	}
}

// remember takes in what a reply says of the budget. Replies can overtake one
// another; seq tells their order.
func (p *Pod) remember(known wire.View, seq int64, left int, reset int64) {
	if p.view.Epoch != known.Epoch || seq < p.view.Seq {
		return
	}
	changed := p.view.Remaining != left
	p.view.Seq, p.view.Remaining, p.view.Reset = seq, left, reset
	if changed {
		p.observe(gatewayqueue.Event{Kind: gatewayqueue.EventBudget, Remaining: left, Total: p.view.Total})
		p.warnOfBudget(left)
	}
}

// budgetWarnings are the parts of the budget, in percent, below which the log
// says what is left.
var budgetWarnings = []int{5, 20, 50}

// warnOfBudget logs once when what is left of the budget falls below one of the parts.
func (p *Pod) warnOfBudget(left int) {
	part := 100
	for _, w := range budgetWarnings {
		if left*100 <= p.view.Total*w {
			part = w
			break
		}
	}
	if part < p.warned {
		p.warn(fmt.Sprintf("at most %d %% of the budget is left", part), "remaining", left, "total", p.view.Total)
	}
	p.warned = part
}
