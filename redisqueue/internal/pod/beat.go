package pod

import (
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// Bounds on what is in one beat, and so on the length of its script.
const (
	beatBatch   = 16 // lines
	arriveBatch = 32 // tickets that take their places
)

// A beat is about the lines in which a pod's turn may come soon, and about a few
// of the others in turn: of large fleets most are far back in most lines, for
// minutes.
const (
	nearby  = 8 // windows until then
	farEach = 4 // lines, in each beat
)

// beat is how a pod keeps its lease and hears how its lines stand. One call of it is
// on its way at a time.
type beat struct {
	on       bool          // beats go on; the pod's lease counts from its first claim
	idle     bool          // there was nothing to keep up since the last: callers may come and go between two beats
	sending  bool          // a beat is on its way
	arriving bool          // beats tell of newcomers: the lines are silent
	last     time.Time     // when the last one was sent; zero if one is due
	lapse    time.Time     // when the lease of a pod ends that stands before this one; zero for none
	leased   time.Duration // the lease that the pod gave itself last
	farthest int           // the bucket of the far line that was looked at last
	died     int           // when the lease of a pod has ended last, as last heard: ms on Redis's clock
	held     int           // the same: when the last hold of a pod ends
	all      bool          // a line was much shorter than expected: the next beat looks at all
}

// keep does what a pod does whatever its buckets: it meets the queue, renews its
// lease, and hears of its lines.
func (p *Pod) keep() {
	b := &p.beat
	switch now := p.now.Time(); {
	case !p.keeping():
		b.idle = true
		return
	case b.idle && b.last.Add(b.leased).Before(now): // its lease has ended meanwhile, and the first claim gives it another
		b.on, b.idle = false, false
	}
	if !b.on {
		b.on, b.last, b.lapse, b.leased = true, p.now.Time(), time.Time{}, p.cfg.PodLease
	}
	b.idle = false
	switch now := p.now.Time(); {
	case !p.ready && !p.meeting && !p.meetAt.After(now):
		p.meet()
	case !p.ready || b.sending:
	case b.arriving:
		p.arrive()
	case !p.beatDue().After(now):
		p.beatAll()
	}
}

// keepAt is when keep has something to do next, as far as no answer tells it.
func (p *Pod) keepAt() time.Time {
	switch far := p.now.Time().Add(never); {
	case !p.ready && p.meeting, p.beat.sending:
		return far
	case !p.ready:
		return p.meetAt
	}
	return p.beatDue()
}

// beatDue is when the next beat is: at half of the pod's lease, and when the
// lease of a pod ends that stands before this one.
func (p *Pod) beatDue() time.Time {
	due := p.beat.last.Add(min(p.lease(), p.beat.leased) / 2)
	if lapse := p.beat.lapse; !lapse.IsZero() && lapse.Before(due) {
		return lapse
	}
	return due
}

// beatSoon makes the next beat due now.
func (p *Pod) beatSoon() { p.beat.last = time.Time{} }

// lookAtAll makes a beat due now that is about all lines, unless one was asked for
// already, or the last one was.
func (p *Pod) lookAtAll(wasAll bool) {
	if !wasAll && !p.beat.all {
		p.beat.all = true
		p.beatSoon()
	}
}

// lease is the pod's lease by now.
func (p *Pod) lease() time.Duration {
	if len(p.permits) > 0 || len(p.lines)+len(p.backingOff) == 0 || slices.ContainsFunc(p.lines, func(l *line) bool { return !l.exhausted }) {
		return p.cfg.PodLease
	}
	return exhaustedLeases * p.cfg.PodLease
}

// beatAll renews the pod's lease, and asks how lines stand, a batch at a time.
func (p *Pod) beatAll() {
	lines, all := p.lookedAt()
	lapse := time.Duration(-1)
	var next func()
	next = func() {
		some := lines[:min(len(lines), beatBatch)]
		p.sendBeat(some, all, func(r wire.BeatReply, ok bool) {
			if !ok {
				return
			}
			if !r.More { // else once more at once: what stands before this pod holds it up for nothing
				lines = lines[len(some):]
			}
			if r.Lapse >= 0 && (lapse < 0 || r.Lapse < lapse) {
				lapse = r.Lapse
			}
			if len(lines) > 0 {
				next()
			} else if lapse >= 0 {
				p.beat.lapse = p.now.Time().Add(lapse + time.Millisecond)
			}
		})
	}
	next()
}

// lookedAt are the lines that the next beat is about, which is now sent. Once one
// of them has turned out to be much shorter than expected, because a pod has
// closed, or a lease has ended anywhere, it is about all.
func (p *Pod) lookedAt() (lines []wire.BeatLine, all bool) {
	var far []wire.BeatLine
	for _, l := range p.lines {
		if len(l.waiters) == 0 || l.waiters[0].stage != placed {
			continue
		}
		first := l.waiters[0]
		asked := wire.BeatLine{Bucket: l.bucket, First: first.ticket}
		if p.beat.all || l.ask.Sub(p.now.Time()) <= nearby*p.cfg.step(first.Permit) {
			lines = append(lines, asked)
		} else {
			far = append(far, asked)
		}
	}
	next := max(0, slices.IndexFunc(far, func(l wire.BeatLine) bool { return l.Bucket > p.beat.farthest }))
	for i := range min(farEach, len(far)) {
		lines = append(lines, far[(next+i)%len(far)])
		p.beat.farthest = lines[len(lines)-1].Bucket
	}
	p.beat.last, p.beat.lapse, p.beat.all = p.now.Time(), time.Time{}, false
	return lines, len(far) <= farEach
}

// sendBeat sends one beat; all says that it is one of those that are about all lines.
// then hears false if nothing more can be said before Redis has been met.
func (p *Pod) sendBeat(lines []wire.BeatLine, all bool, then func(r wire.BeatReply, ok bool)) {
	known, refresh := p.view, time.Duration(0)
	if p.mayAsk() {
		refresh = p.cfg.Refresh
	}
	p.beat.sending, p.beat.leased = true, p.lease()
	send(p, Calls, wire.Beat{
		Pod: p.cfg.Name, PodLease: p.beat.leased, Known: known, Refresh: refresh, Reserve: p.cfg.Reserve.Of(known), Lines: lines,
	}, func(a answer[wire.BeatReply]) {
		p.beat.sending = false
		p.heard(a.err)
		if a.err == nil {
			p.hearPause(a.reply.Pause, a.reply.Now)
		}
		switch r := a.reply; {
		case a.err != nil:
			p.misused(lines, all, a.err)
			then(r, false)
		case r.Code == "resync":
			p.unready(known)
			then(r, false)
		default:
			p.stand(lines, all, known, r)
			then(r, p.ready)
		}
	})
}

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

// arrive gives all that wait their places, many lines in a call: when a fleet starts
// they are many. The lines are silent meanwhile, and afterwards tell Redis of those
// that a beat could not.
func (p *Pod) arrive() {
	lines, told := p.newcomers()
	if len(lines) < 2 {
		p.arrived()
		return
	}
	p.sendBeat(lines, false, func(_ wire.BeatReply, ok bool) {
		for _, w := range told {
			p.returned(w)
		}
		if !ok {
			p.arrived()
		}
	})
}

// arrived lets the lines speak. Where a fleet arrives, how the lines stand is soon
// not so any more: the next beat tells before the buckets open again, also where a
// window is short.
func (p *Pod) arrived() {
	p.beat.arriving = false
	if last := p.now.Time().Add((p.cfg.Window - p.lease()) / 2); last.Before(p.beat.last) {
		p.beat.last = last
	}
}

// newcomers are lines with waiters that Redis does not know, as many as fit into
// a beat, and these waiters.
func (p *Pod) newcomers() (lines []wire.BeatLine, told []*Waiter) {
	room := arriveBatch
	for _, l := range p.lines {
		line := wire.BeatLine{Bucket: l.bucket}
		for _, w := range l.newcomers(room) {
			line.Places = append(line.Places, wire.Place{Ticket: w.ticket, Arrival: w.Arrival})
			told = append(told, w)
		}
		if len(line.Places) == 0 {
			continue
		}
		line.First = l.waiters[0].ticket
		lines = append(lines, line)
		if room -= len(line.Places); room == 0 || len(lines) == beatBatch {
			break
		}
	}
	if len(lines) >= 2 {
		for _, w := range told {
			w.stage = sent
			w.calls++
		}
	}
	return lines, told
}

// unready says that Redis has other limits or another state than the pod knew
// when it called.
func (p *Pod) unready(known wire.View) {
	if p.view.Same(known) && p.view.Total == known.Total { // else it has learnt them meanwhile
		p.ready = false
		p.beatSoon()
	}
}
