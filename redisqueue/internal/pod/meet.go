package pod

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// ErrLimitMismatch is redisqueue's error of that name.
var ErrLimitMismatch = errors.New("redisqueue: max_concurrency differs from the queue's")

// sync sends a sync; what every one says alike is filled in here.
func (p *Pod) sync(s wire.Sync, then func(r wire.SyncReply, err error)) {
	if s.NewEpoch == "" {
		s.NewEpoch = p.cfg.NewEpoch()
	}
	s.LostHold, s.LeastHold, s.Refresh = p.longestHold(), p.cfg.PodLease, p.cfg.Refresh
	s.MayAsk, s.Fresh = p.mayAsk(), p.cfg.FreshStart && s.Known.Epoch == ""
	send(p, Calls, s, func(a answer[wire.SyncReply]) { then(a.reply, a.err) })
}

// meet agrees with Redis on limits and state, seeding them if they are missing, and
// asks the limit source if it has to. One meeting is under way at a time.
func (p *Pod) meet() {
	p.meeting = true
	known := p.view
	var limit *wire.Report
	if p.cfg.Source == nil {
		limit = &wire.Report{SessionStartLimit: p.guess(known)}
	}
	p.sync(wire.Sync{Known: known, Limit: limit, Asks: p.mayAsk()}, func(r wire.SyncReply, err error) {
		code := r.Code
		if err != nil || code != "ask" && code != "over" {
			p.metWith(known, r, err)
			return
		}
		p.heard(nil)
		p.ask(r.Now, func(limit *wire.Report, err error) {
			if err != nil {
				p.observe(gatewayqueue.Event{Kind: gatewayqueue.EventStoreError, Err: err})
				p.metAgainIn(sourceWait) // it is not due to Redis, and has been reported
				return
			}
			s := wire.Sync{Update: code == "over", Known: known, Buckets: known.MaxConcurrency, Limit: limit}
			p.sync(s, func(r wire.SyncReply, err error) {
				if err != nil || r.Code != "buckets" {
					p.metWith(known, r, err)
					return
				}
				s.Update, s.Buckets = true, r.View.MaxConcurrency
				p.sync(s, func(r wire.SyncReply, err error) { p.metWith(known, r, err) })
			})
		})
	})
}

// metAgainIn ends a meeting without an agreement.
func (p *Pod) metAgainIn(d time.Duration) {
	p.meeting, p.misses, p.meetAt = false, 0, p.now.Time().Add(d)
}

// metWith hears what a meeting has come to.
func (p *Pod) metWith(known wire.View, r wire.SyncReply, err error) {
	p.heard(err)
	mine := p.cfg.Limit.MaxConcurrency
	switch {
	case err != nil:
		if wire.ClassOf(err) == wire.Returned {
			p.refuseAll(p.explained(err))
		}
		p.meeting = false
		p.misses++
		p.meetAt = p.now.Time().Add(p.backoff(err, p.misses))
	case r.Code == "busy" && !p.mayAsk():
		p.metAgainIn(sourceWait)
	case r.NotYet():
		p.metAgainIn(busyWait)
	case p.cfg.LimitGiven && p.cfg.Source == nil && known.MaxConcurrency == 0 && r.View.MaxConcurrency != mine:
		p.refuseAll(p.cfg.Mismatch(r.View.MaxConcurrency))
		p.metAgainIn(busyWait)
	default:
		p.meeting, p.misses = false, 0
		p.met(r.Server, r.Closed)
		p.tellMeeting(known, r)
		p.adopt(r)
	}
}

// tellMeeting tells the log of a meeting, and of the hold that the pod meets; the log
// has had a line about one that it has caused.
func (p *Pod) tellMeeting(known wire.View, r wire.SyncReply) {
	figures := []any{"remaining", r.View.Remaining, "total", r.View.Total, "max_concurrency", r.View.MaxConcurrency}
	closed := append(slices.Clone(figures), "closed", r.Closed)
	why, logged := whyJoined, true
	switch {
	case known.Epoch != "" && known.Epoch != r.View.Epoch:
		why = whyLost
		p.warn("Redis had lost state: every bucket stays closed for a while", closed...)
		p.observe(gatewayqueue.Event{Kind: gatewayqueue.EventStateLost})
	case r.Code != "seeded":
		logged = false
		p.log(slog.LevelDebug, "joined the queue", figures...)
	case p.cfg.FreshStart:
		why = whyEmpty
		p.info("started a new queue", figures...)
	case p.cfg.Source == nil:
		why = whyEmpty
		p.warn("started a queue: Redis had none, or has lost it; every bucket stays closed for a while, because what was spent of the budget, and who identified just now, cannot be known", closed...)
	default:
		why = whyEmpty
		p.info("started a queue: Redis had none, or has lost it; every bucket stays closed for a while, because who identified just now cannot be known", closed...)
	}
	p.holds(r.Closed, why)
	switch {
	case r.Closed <= 0:
	case logged:
		p.blockSaid(string(gatewayqueue.ReasonHold), holdBlocks(r.Closed, why), nil)
	default:
		p.block(holdBlocks(r.Closed, why))
	}
}

// guess is what to seed with where there is no source: the limits last in
// force, or those given, as they must be by now.
func (p *Pod) guess(known wire.View) gatewayqueue.SessionStartLimit {
	if known.MaxConcurrency > 0 { // what remains is remembered beside them
		return gatewayqueue.SessionStartLimit{Total: known.Total, Remaining: known.Total, MaxConcurrency: known.MaxConcurrency}
	}
	l := p.cfg.Limit
	if l.ResetAfter -= p.now.Time().Sub(p.cfg.LimitAt); l.ResetAfter <= 0 {
		l.ResetAfter = 0
		if p.cfg.Limit.ResetAfter > 0 {
			l.Remaining = l.Total
		}
	}
	return l
}

// update changes the limits for every pod, once under a name that none had before; n
// counts the tries.
func (p *Pod) update(op *Op, limit *wire.Report, name string, buckets, n int) {
	switch {
	case op.over:
		return
	case p.closed:
		p.done(op, errors.Join(gatewayqueue.ErrClosed, p.health.last(p)))
		return
	}
	p.sync(wire.Sync{Update: true, NewEpoch: name, Known: p.view, Buckets: buckets, Limit: limit}, func(r wire.SyncReply, err error) {
		p.heard(err)
		switch {
		case err == nil && r.Code == "buckets":
			p.update(op, limit, name, r.View.MaxConcurrency, n)
		case err == nil && r.NotYet():
			p.done(op, nil) // they are asked for again
		case err == nil:
			p.met(r.Server, r.Closed)
			p.holds(r.Closed, whyLimits)
			p.info("new limits", "remaining", r.View.Remaining, "total", r.View.Total, "max_concurrency", r.View.MaxConcurrency)
			p.adopt(r)
			p.done(op, nil)
		case wire.ClassOf(err) == wire.Returned:
			p.done(op, p.explained(err))
		default:
			p.after(p.backoff(err, n), func() { p.update(op, limit, name, buckets, n+1) })
		}
	})
}

// adopt takes the limits and state in force, and puts the waiters where they
// belong under them. They take their places together, by a beat; but not where
// state was lost: the first claim then brings its script along at once, so that
// what that costs is over when the buckets open.
func (p *Pod) adopt(r wire.SyncReply) {
	v, old := r.View, p.view
	if p.closed {
		return
	}
	p.ready = true
	if old.Epoch == v.Epoch && v.Seq < old.Seq {
		v = old // overtaken by a later reply
	}
	p.view = v
	p.tellIfNothingIsEverGranted()
	if !old.Same(v) {
		p.rebucket(old, v, r.Code != "seeded" || p.cfg.FreshStart && old.Epoch == "")
	}
	for _, l := range p.lines {
		l.askNow()
	}
}

// rebucket puts all waiters into the lines of a new state or of new limits; together
// says that a beat gives them their places.
func (p *Pod) rebucket(old, v wire.View, together bool) {
	all := p.lobby
	p.lobby, p.beat.arriving = nil, together
	// An update deletes the old lines. Lost state leaves them there, with
	// tickets that their pods would ask for in other lines from now on.
	stale := old.Epoch != v.Epoch && old.MaxConcurrency != v.MaxConcurrency
	for _, l := range p.lines {
		for _, w := range l.waiters {
			if stale && w.known() && w.stage != claiming {
				l.leaving = append(l.leaving, w.ticket)
				w.ticket, w.stage = p.newTicket(w.Shard, w.Visit), unsent
			}
		}
		all = append(all, l.waiters...)
		l.waiters = nil
	}
	for _, w := range all {
		switch w.stage {
		case inLobby:
			w.stage = unsent
		case placed:
			w.stage = sent
		}
		p.enter(w)
	}
}

// tellIfNothingIsEverGranted logs once that the limits in force leave no unit to
// anybody.
func (p *Pod) tellIfNothingIsEverGranted() {
	never := p.cfg.Reserve.GrantsEver(p.view)
	if never != nil && !p.never {
		p.log(slog.LevelError, "nothing is ever granted under these limits: callers wait until they change", "error", never)
		p.blockSaid(string(gatewayqueue.ReasonLimits), p.neverBlocks(never), nil)
	}
	p.never = never != nil
}
