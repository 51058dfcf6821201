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
