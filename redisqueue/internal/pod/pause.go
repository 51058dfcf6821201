package pod

import (
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// pause is what this pod knows of a pause.
type pause struct {
	told bool                      // a claim, or a beat, has said that grants are paused, and no beat that they are not
	is   *gatewayqueue.PauseStatus // what a beat has said; nil if none has
	ends time.Time                 // by the pod's clock; zero if it has no end, or is not known
}

// tellPaused notes that a claim was answered that grants are paused; the next beat
// says by whom.
func (p *Pod) tellPaused() {
	if !p.paused.told {
		p.paused.told = true
		p.beatSoon()
	}
}

// hearPause takes in what a beat says of pauses at now (ms). Once the queue is not
// paused, waiters ask that were told to wait for its end: also where the beat is older
// than what they were told, since the next will be newer.
func (p *Pod) hearPause(is *gatewayqueue.PauseStatus, now int64) {
	if is == nil {
		p.hearResume()
		return
	}
	was := p.paused.is
	b := is.Blocks(time.UnixMilli(now))
	p.paused = pause{told: true, is: is}
	if !is.Until.IsZero() {
		p.paused.ends = p.now.Time().Add(b.Wait)
	}
	for _, l := range slices.Clone(p.lines) {
		p.refusePaused(l)
	}
	if was != nil && *was == *is {
		return
	}
	p.observe(gatewayqueue.Event{Kind: gatewayqueue.EventPaused, Err: b})
	p.warn("grants are paused", b.Attrs()...)
	p.maySay("long " + string(gatewayqueue.ReasonPaused)) // so that tellWhy repeats it in an hour
}

// refusePaused refuses those whose deadline ends before the pause that is known.
func (p *Pod) refusePaused(l *line) {
	if wait := p.paused.ends.Sub(p.now.Time()); p.paused.is != nil && wait > 0 {
		p.refuseBy(l, wait, p.paused.is.Blocks(p.paused.is.Until.Add(-wait)))
	}
}

// hearResume takes in that grants are not paused.
func (p *Pod) hearResume() {
	was := p.paused
	p.paused = pause{}
	if !was.told {
		return
	}
	for _, l := range p.lines {
		if !l.exhausted {
			l.askNow()
		}
	}
	if was.is != nil {
		p.observe(gatewayqueue.Event{Kind: gatewayqueue.EventResumed})
		p.info("grants are resumed")
	}
}
