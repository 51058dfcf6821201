// What a beat tells of the lines: how they stand, or that they cannot be read.

package pod

import (
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// stand hears how lines stand.
func (p *Pod) stand(lines []wire.BeatLine, all bool, known wire.View, r wire.BeatReply) {
	if r.Left >= 0 { // it may be all that is known of it, should Redis forget
		p.remember(known, r.Seq, r.Left, r.Reset)
	}
	units := r.Ended() > 0 || r.Left > p.cfg.Reserve.Of(known)
	for i, s := range r.Lines {
		l := p.find(lines[i].Bucket)
		if l == nil || !p.view.Same(known) {
			continue // of a state, or of limits, that are no more
		}
		if p.beaten(l, lines[i], s, r.Now, units) {
			p.lookAtAll(all)
		}
	}
	if units {
		p.unitsCame(r.Ended())
	}
	if r.Refresh && !p.closed {
		p.refresh(r.Now)
	}
	if r.Died > p.beat.died || r.Held > p.beat.held {
		p.beat.died, p.beat.held = max(r.Died, p.beat.died), max(r.Held, p.beat.held)
		p.lookAtAll(all)
	}
}

// beaten hears the answer to a beat about a line: newcomers have their places, and
// the line stands so. units says that the budget is not exhausted. It returns true
// if the line is shorter than expected.
func (p *Pod) beaten(l *line, asked wire.BeatLine, s wire.Standing, now int64, units bool) (shorter bool) {
	var first *Waiter // if it has only now taken its place
	for _, w := range l.waiters {
		if !slices.ContainsFunc(asked.Places, func(place wire.Place) bool { return place.Ticket == w.ticket }) {
			continue
		}
		if w.stage == sent {
			w.stage = placed
		}
		if w.Arrival == 0 {
			w.Arrival = now
		}
		if w.ticket == asked.First {
			first = w
		} else {
			p.place(w)
		}
	}
	l.sort()
	if len(l.waiters) == 0 || l.waiters[0].ticket != asked.First {
		if first != nil {
			p.place(first) // another has come that stands before it
		}
		return false
	}
	return p.stands(l, s, first != nil, units)
}

// stands plans when to ask. Of a closed bucket that is certain; an open one somebody
// is about to have, or nobody, and only a claim finds out. fresh says that the pod's
// first has only now taken its place.
func (p *Pod) stands(l *line, s wire.Standing, fresh, units bool) (shorter bool) {
	first, step := l.waiters[0], p.cfg.step(l.waiters[0].Permit)
	ask := p.askIn(max(s.Wait, p.untilWanted(), 0) + time.Duration(s.Ahead)*(step+handoff))
	shorter = !fresh && !l.exhausted && l.ahead > 0 && s.Wait >= 0 && s.Ahead >= 0 && ask.Before(l.ask.Add(-2*step))
	switch {
	case l.exhausted, l.failures > 0, l.again && !fresh: // it waits for the reset, or asks anyway
	case s.Wait < 0 && !fresh: // a permit is out: the next beat tells
	case s.Ahead < 0, !units, s.Wait == 0 && s.Ahead == 0:
		if fresh || l.ahead > 0 || units && first.stage != claiming && ask.Before(l.ask) {
			l.askNow()
		}
	case fresh, s.Wait > 0, ask.Before(l.ask):
		l.ahead, l.ask, l.again = s.Ahead, ask, false
		p.place(first)
		if !p.paused.told { // that may end at any moment
			p.refuseLate(l, s.Wait)
		}
	}
	return shorter
}

// misused returns an error of a beat to callers whom waiting does not help, also
// those that sleep until the reset, back off, or stand far back. A key of another type
// may be that of one line alone: then each line is asked about by itself, and
// the others wait on.
func (p *Pod) misused(lines []wire.BeatLine, all bool, err error) {
	switch {
	case wire.ClassOf(err) != wire.Returned:
	case len(lines) == 0 || wire.TroubleOf(err).About != wire.AboutType:
		p.refuseAll(p.explained(err))
	case len(lines) == 1:
		if l := p.find(lines[0].Bucket); l != nil {
			p.refuseLine(l, p.explained(err))
		}
	default:
		var next func(wire.BeatReply, bool)
		next = func(wire.BeatReply, bool) {
			if len(lines) > 0 && p.ready && !p.closed {
				one := lines[:1]
				lines = lines[1:]
				p.sendBeat(one, all, next)
			}
		}
		next(wire.BeatReply{}, true)
	}
}
