package pod

import (
	"slices"
	"sort"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// Bounds on the tickets in one claim and in one abandon, and so on the length of
// their scripts. A pod gives up many at once: those behind wait for it.
const (
	claimBatch = 16
	leaveBatch = 128
)

// line is this pod's part of the line of one bucket. It has one call on its way at
// a time: a ticket that is given up must not overtake its own claim.
type line struct {
	bucket  int
	waiters []*Waiter // in the order in which Redis has them
	fresh   bool      // there may be waiters that Redis does not know
	leaving []string  // tickets to give up
	orphans []string  // tickets that stand in line though nobody waits for them
	calls   int       // on their way

	ask       time.Time // when to ask next
	again     bool      // something has happened since the call on its way was sent: its answer may be too old
	ahead     int       // tickets before the first waiter, as last heard
	exhausted bool      // it was told that no unit is left for it
	usedUp    int64     // when it was told so last, in ms on Redis's clock
	failures  int       // in a row
}

// lineOf is the line of a bucket, made if need be.
func (p *Pod) lineOf(bucket int) *line {
	i, found := p.indexOf(bucket)
	if !found {
		p.lines = slices.Insert(p.lines, i, &line{bucket: bucket})
	}
	return p.lines[i]
}

// find returns the line of a bucket, or nil.
func (p *Pod) find(bucket int) *line {
	i, found := p.indexOf(bucket)
	if !found {
		return nil
	}
	return p.lines[i]
}

func (p *Pod) indexOf(bucket int) (i int, found bool) {
	return slices.BinarySearchFunc(p.lines, bucket, func(l *line, bucket int) int { return l.bucket - bucket })
}

// idle says that nothing is left to do for a line.
func (l *line) idle() bool {
	return len(l.waiters) == 0 && len(l.leaving) == 0 && len(l.orphans) == 0 && l.calls == 0
}

// add puts a waiter in its place, to be told to Redis at once.
func (l *line) add(w *Waiter) {
	i := sort.Search(len(l.waiters), func(i int) bool { return w.compare(l.waiters[i]) < 0 })
	l.waiters = slices.Insert(l.waiters, i, w)
	w.line, l.fresh = l, true
}

// sort puts the waiters into the order that Redis has them in.
func (l *line) sort() { slices.SortStableFunc(l.waiters, (*Waiter).compare) }

// askNow makes the line ask Redis, also if a call is on its way.
func (l *line) askNow() { l.ask, l.again = time.Time{}, true }

// due is when something is to be done for a line.
func (p *Pod) due(l *line) time.Time {
	now := p.now.Time()
	switch {
	case l.calls > 0, p.closed:
		return now.Add(never)
	case l.failures > 0 && l.ask.After(now):
		return l.ask
	case len(l.leaving) > 0, len(l.orphans) > 0:
		return now
	case len(l.waiters) == 0, !p.ready, p.beat.arriving, l.waiters[0].stage == claiming:
		return now.Add(never)
	case l.fresh && len(l.newcomers(1)) > 0:
		return now
	}
	l.fresh = false
	return l.ask
}

// newcomers are the first waiters that Redis has to be told of, so many at most.
func (l *line) newcomers(most int) (some []*Waiter) {
	for _, w := range l.waiters {
		if len(some) == most {
			break
		}
		if w.new() {
			some = append(some, w)
		}
	}
	return some
}

// advance does what is due for a line: it gives up tickets, or claims for the first
// waiter.
func (p *Pod) advance(l *line) {
	switch {
	case p.due(l).After(p.now.Time()):
	case len(l.leaving) > 0:
		n := min(len(l.leaving), leaveBatch)
		some := slices.Clone(l.leaving[:n])
		l.leaving = slices.Delete(l.leaving, 0, n)
		for _, request := range wire.Abandons(l.bucket, some) {
			l.calls++
			send(p, Calls, request, func(a answer[int]) { p.left(l, request.Tickets, a.err) })
		}
	case len(l.orphans) > 0:
		request := wire.Abandon{Bucket: l.bucket, Tickets: l.orphans, PlacesOnly: true}
		l.orphans = nil
		l.calls++
		send(p, Calls, request, func(a answer[int]) { // those that stay are met again
			l.calls--
			p.heard(a.err)
		})
	default:
		p.claim(l)
	}
}

// left hears what became of tickets that were to be given up.
func (p *Pod) left(l *line, tickets []string, err error) {
	l.calls--
	p.heard(err)
	if err == nil {
		l.failures = 0
		return
	}
	if p.closed || wire.ClassOf(err) != wire.Returned { // else they lapse with the pod's lease
		l.leaving = append(tickets, l.leaving...)
	}
	p.failed(l, err)
}

func (p *Pod) failed(l *line, err error) {
	l.failures++
	l.ask = p.now.Time().Add(p.backoff(err, l.failures))
}

// claim sends a claim for the first waiter of a line. Others that Redis does not
// know take their places with it.
func (p *Pod) claim(l *line) {
	first := l.waiters[0]
	c := &claim{line: l, first: first}
	for _, w := range l.newcomers(claimBatch + 1) {
		if w != first && len(c.others) < claimBatch {
			c.others = append(c.others, w)
		}
	}
	lease := p.lease()
	c.request = wire.Claim{
		Place: wire.Place{Ticket: first.ticket, Arrival: first.Arrival}, Shard: first.Shard, Bucket: l.bucket,
		Pod: p.cfg.Name, PodLease: lease, Known: p.view, Permit: first.Permit,
		Closes: p.cfg.Window + p.marginFor(first), UntilWanted: p.untilWanted(), Step: p.cfg.step(first.Permit),
		Reserve: p.cfg.Reserve.Of(p.view), Backoff: p.cfg.Backoff, Asks: p.mayAsk(),
		Own: wire.Agreed{Window: p.cfg.Window, Grace: p.cfg.Grace(), PodLease: p.cfg.PodLease, Replicas: p.cfg.Replicas},
	}
	c.request.Usable = c.request.Closes - p.cfg.Window
	if first.Permit {
		c.request.Closes, c.request.Usable = p.cfg.PermitLease, p.cfg.PermitGood()
	}
	if len(l.waiters) > 1 {
		c.request.Next = l.waiters[1].ticket
	}
	for _, w := range c.others {
		c.request.Others = append(c.request.Others, wire.Place{Ticket: w.ticket, Arrival: w.Arrival})
		w.stage = sent
		w.calls++
	}
	first.stage = claiming
	first.calls++
	l.again = false
	l.calls++
	p.beat.leased = lease
	p.sendClaim(c, p.server.unknown, false)
}

// sendClaim sends a claim; whole says that the server does not know the script. Where
// scripts are not told who the server is, that is all there is to show that it may
// have been restarted, or be a replica that was promoted without the last grants: it
// must close every bucket, and is told so until a claim was answered. It knows the
// script from now on, even if it cannot write yet.
func (p *Pod) sendClaim(c *claim, notice, whole bool) {
	c.request.Notice = notice
	sendAs(p, Send{Request: c.request, Replicas: p.server.replicas, Whole: whole}, c.request, func(a answer[wire.ClaimReply]) {
		if a.err != nil && !whole && wire.NoScript(a.err) {
			p.server.unknown = true
			p.sendClaim(c, true, true)
			return
		}
		if a.err == nil && notice {
			p.server.unknown = false
		}
		p.claimed(c, a)
	})
}

// grant gives a waiter what its claim has got.
func (p *Pod) grant(c *claim, sent elapsed.Moment, now int64) {
	w := c.first
	if !w.waits() {
		c.line.ask = time.Time{} // it has left; once its ticket is given up the bucket is as open as before
		return
	}
	w.line.waiters = remove(w.line.waiters, w)
	w.stage = granted
	w.grant = Grant{Sent: sent, Closes: c.request.Closes, Bucket: c.line.bucket, grantedAt: now}
	if w.Permit {
		w.grant.Permit = p.newPermit(w, c.request.Known.MaxConcurrency)
	}
	p.do(Granted{w, w.grant})
}

// refuseIf refuses those waiters of a line that which picks.
func (p *Pod) refuseIf(l *line, err error, which func(*Waiter) bool) {
	for _, w := range slices.Clone(l.waiters) {
		if which(w) {
			l.waiters = remove(l.waiters, w)
			p.refuse(w, err)
		}
	}
}

func (p *Pod) refuseLine(l *line, err error) { p.refuseIf(l, err, func(*Waiter) bool { return true }) }

// refuseAll refuses all that wait or back off.
func (p *Pod) refuseAll(err error) {
	for _, w := range p.lobby {
		p.refuse(w, err)
	}
	for _, w := range p.backingOff {
		p.stop(w.backoff)
		p.refuse(w, err)
	}
	p.lobby, p.backingOff = nil, nil
	for _, l := range slices.Clone(p.lines) {
		p.refuseLine(l, err)
	}
}

// refuseBy refuses waiters of a line whose deadline ends before something is over,
// but for those that have paid.
func (p *Pod) refuseBy(l *line, wait time.Duration, b *gatewayqueue.BlockedError) {
	end := p.now.Time().Add(wait)
	p.refuseIf(l, outlasts(wait, b), func(w *Waiter) bool {
		return !w.Deadline.IsZero() && w.Deadline.Before(end) && !w.paid()
	})
}

// outlasts says that what keeps a waiter waiting does so beyond its deadline.
func outlasts(wait time.Duration, b *gatewayqueue.BlockedError) error {
	return &gatewayqueue.DeadlineError{Wait: wait, Reason: b.Text, Kind: b.Reason}
}
