// How those that wait get their places, many lines in a call.

package pod

import (
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

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
