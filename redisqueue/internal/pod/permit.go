package pod

import (
	"cmp"
	"errors"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// Permit is a granted ticket whose shard has not identified yet.
type Permit struct {
	Ticket         string
	Shard          int
	Bucket         int
	MaxConcurrency int       // at the grant
	Granted        time.Time // for events
	GrantedAt      int64     // the same, in ms on Redis's clock
	Imported       bool      // from a record: its holder is somewhere else
	Owner          any       // the caller's own

	made     elapsed.Moment // at this pod: it ends a MaxPermitDuration later, however often it is renewed
	life     Lifetime
	renewal  time.Time // when it is due
	renewing bool      // a renewal is on its way
	settled  bool      // it was reported: identified or abandoned

	announced int      // how often it was said that IDENTIFY is about to leave
	leaves    Lifetime // until when it may, so that nobody need hear of it again
}

// Lifetime is how long something is good, from the moment at which the call was sent
// that Redis has confirmed it by last.
type Lifetime struct {
	From elapsed.Moment
	Good time.Duration
}

// Left is for how long it is good yet, by the clock that says the least: the
// monotonic one stands still while a machine is suspended. Below 0 it is over.
func (l Lifetime) Left(now elapsed.Moment) time.Duration { return l.Good - l.From.Until(now) }

// Deadline is when it ends, on the monotonic clock.
func (l Lifetime) Deadline(now elapsed.Moment) time.Time {
	return l.From.Time().Add(l.Good - (l.From.Until(now) - now.Time().Sub(l.From.Time())))
}

// newPermit makes the permit of a waiter that has just been granted.
func (p *Pod) newPermit(w *Waiter, buckets int) *Permit {
	g := w.grant
	permit := &Permit{
		Ticket: w.ticket, Shard: w.Shard, Bucket: g.Bucket, MaxConcurrency: buckets,
		Granted: g.Sent.Time(), GrantedAt: g.grantedAt, made: g.Sent, life: Lifetime{g.Sent, p.cfg.PermitGood()},
	}
	if !p.closed {
		permit.renewal = g.Sent.Time().Add(p.cfg.renewEvery())
		p.permits = append(p.permits, permit)
	}
	p.do(Good{permit, permit.life})
	return permit
}

// ImportPermit is a permit that another pod has granted. It is not known to be good.
func ImportPermit(permit Permit, now elapsed.Moment) *Permit {
	permit.Imported, permit.made, permit.life = true, now, Lifetime{From: now}
	return &permit
}

// Life is for how long an imported permit is good until it was renewed.
func (q *Permit) Life() Lifetime { return q.life }

func (q *Permit) held() wire.Held {
	return wire.Held{Ticket: q.Ticket, Bucket: q.Bucket, GrantedBuckets: q.MaxConcurrency}
}

// dropPermit ends the renewals of a permit, and says if there were any.
func (p *Pod) dropPermit(q *Permit) bool {
	n := len(p.permits)
	p.permits = remove(p.permits, q)
	return len(p.permits) < n
}

// giveBack gives up a grant that nobody took.
func (p *Pod) giveBack(w *Waiter) {
	if w.grant.Permit != nil {
		p.dropPermit(w.grant.Permit)
		w.grant.Permit.settled = true
	}
	p.abandon(&Op{then: func(error) {}}, &Permit{Ticket: w.ticket, Shard: w.Shard, Bucket: w.grant.Bucket}) // the log has what could not be told
}

// settle says what became of a permit, once. It goes on beyond its caller, and beyond
// Close: the bucket's window hangs on it.
func (p *Pod) settle(e Settle) {
	q := e.Permit
	if q.settled {
		p.done(e.Op, nil)
		return
	}
	q.settled = true
	p.dropPermit(q)
	kind := gatewayqueue.EventAbandoned
	if e.Identified {
		kind = gatewayqueue.EventIdentified
	}
	p.observe(gatewayqueue.Event{Kind: kind, ShardID: q.Shard, Bucket: q.Bucket, Elapsed: p.now.Time().Sub(q.Granted)})
	switch {
	case !e.Identified:
		p.abandon(e.Op, q)
	case q.leaves.Left(p.now) >= 0: // the window that began with the announcement is its own
		p.done(e.Op, nil)
	default:
		p.identified(e.Op, q, e.Within)
	}
}

// insist tries until Redis has answered, or until it cannot matter any more: the slot
// has expired by itself, and what was paid is forgotten.
func (p *Pod) insist(op *Op, ticket string, try func(then func(error))) {
	end := p.now.Time().Add(max(p.cfg.PermitLease+p.cfg.Window, wire.PaidTTL))
	n := 0
	var again func()
	again = func() {
		n++
		try(func(err error) {
			if errors.Is(err, gatewayqueue.ErrPermitSettled) {
				p.done(op, err)
				return
			}
			p.heard(err)
			switch {
			case err == nil:
				p.done(op, nil)
			case wire.ClassOf(err) == wire.Returned:
				p.done(op, p.explained(err))
			default:
				wait := p.backoff(err, n)
				if p.now.Time().Add(wait).After(end) {
					p.warn("could not report a permit: its slot expires by itself", "ticket", ticket, "error", err)
					p.done(op, p.explained(err))
					return
				}
				p.after(wait, again)
			}
		})
	}
	again()
}

// identified reports that IDENTIFY was sent, or leaves within a time from now.
func (p *Pod) identified(op *Op, q *Permit, within time.Duration) {
	closes := p.cfg.step(true) + within
	p.insist(op, q.Ticket, func(then func(error)) {
		send(p, Reports, wire.Identified{Held: q.held(), Closes: closes, Usable: within, OwnWindow: p.cfg.Window}, func(a answer[wire.Settled]) {
			if a.err == nil {
				if a.reply.Code == "late" {
					p.warn("identified after the permit had ended: every bucket stays closed for a window", "ticket", q.Ticket)
				}
				p.opens(q.Bucket, closes)
			}
			then(a.err)
		})
	})
}

// opens tells the line of a bucket when that opens.
func (p *Pod) opens(bucket int, in time.Duration) {
	l := p.find(bucket)
	if l == nil {
		return
	}
	l.ask = p.askIn(in + time.Duration(l.ahead)*(p.cfg.step(true)+handoff))
	if p.view.MaxConcurrency > 0 && p.view.Remaining <= p.cfg.Reserve.Of(p.view) {
		l.askNow() // it may have been the last unit: those that cannot wait for the reset are told
	}
}

// abandon gives back a permit's slot and unit. An imported one may have been reported
// elsewhere, and its wait ends with it; the caller of any other may come back.
func (p *Pod) abandon(op *Op, q *Permit) {
	request := wire.Abandon{Bucket: q.Bucket, Tickets: []string{q.Ticket}}
	if !q.Imported {
		request = wire.Abandons(q.Bucket, request.Tickets)[0]
	}
	p.insist(op, q.Ticket, func(then func(error)) {
		giveBack := func() {
			send(p, Reports, request, func(a answer[int]) {
				if a.err == nil {
					if l := p.find(q.Bucket); l != nil {
						l.askNow()
					}
					p.unitsCame(0)
				}
				then(a.err)
			})
		}
		if !q.Imported {
			giveBack()
			return
		}
		send(p, Reports, wire.Remember{Key: p.cfg.Keys.Paid(q.Ticket)}, func(a answer[wire.Remembered]) {
			if a.err != nil || a.reply.Value == "identified" {
				then(cmp.Or(a.err, gatewayqueue.ErrPermitSettled))
				return
			}
			giveBack()
		})
	})
}

// expire ends a permit that can be renewed no more.
func (p *Pod) expire(q *Permit) {
	q.life.Good = min(q.life.Good, q.life.From.Until(p.now))
	p.do(Good{q, q.life})
	if l := p.find(q.Bucket); l != nil {
		l.askNow()
	}
	if p.dropPermit(q) { // else it was settled meanwhile
		p.observe(gatewayqueue.Event{Kind: gatewayqueue.EventExpired, ShardID: q.Shard, Bucket: q.Bucket, Elapsed: p.now.Time().Sub(q.Granted)})
		p.warn("a permit ended unreported: its bucket opens a window later", "ticket", q.Ticket)
	}
}
