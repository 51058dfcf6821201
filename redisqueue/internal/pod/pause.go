package pod

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// pause is what this pod knows of a pause.
type pause struct {
	told bool                      // a claim, or a beat, has said that grants are paused, and no beat that they are not
	is   *gatewayqueue.PauseStatus // what a beat has said; nil if none has
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
	if p.paused = (pause{told: true, is: is}); was != nil && *was == *is {
		return
	}
	b := is.Blocks(time.UnixMilli(now))
	p.observe(gatewayqueue.Event{Kind: gatewayqueue.EventPaused, Err: b})
	p.warn("grants are paused", b.Attrs()...)
	p.maySay("long " + string(gatewayqueue.ReasonPaused)) // so that tellWhy repeats it in an hour
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
