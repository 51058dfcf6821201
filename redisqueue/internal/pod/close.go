package pod

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// departAtATime is how many calls a pod that closes makes at a time: it may have
// places in hundreds of lines, and Redis may be some way off.
const departAtATime = 16

// departure is a pod that gives up what it had.
type departure struct {
	end     time.Time // what cannot be given up by then lapses with the pod's lease
	begun   bool
	room    int // for calls
	left    []wire.Abandon
	warned  bool
	arrived bool
}

// close ends all waits. Permits that are out can still be reported.
func (p *Pod) close() {
	if p.closed {
		return
	}
	p.refuseAll(gatewayqueue.ErrClosed)
	p.closed = true
	p.permits = nil
	p.departing = &departure{end: p.now.Time().Add(CloseTimeout), room: departAtATime}
	p.do(Hangup{})
	p.after(CloseTimeout, p.departed)
}

// depart gives up the lease of a pod that closes: from then on nobody waits for its
// places. Then it gives these up. It begins once no call of a line is on its way,
// which could put a place back.
func (p *Pod) depart() {
	d := p.departing
	if d == nil || d.begun {
		return
	}
	for _, l := range p.lines {
		if l.calls > 0 {
			return
		}
	}
	if p.beat.sending || p.meeting {
		return
	}
	d.begun = true
	if p.view.MaxConcurrency == 0 {
		p.departed()
		return
	}
	for _, l := range p.lines {
		for tickets := l.leaving; len(tickets) > 0; {
			some := tickets[:min(len(tickets), leaveBatch)]
			tickets = tickets[len(some):]
			d.left = append(d.left, wire.Abandons(l.bucket, some)...)
		}
	}
	p.lines = nil
	p.giveUpUntil(d.end, 1, wire.Abandon{LeavingPod: p.cfg.Name}, func(err error) {
		if err != nil {
			p.warn("could not end the pod's lease: it lapses by itself, and its places with it", "error", err)
			p.departed()
			return
		}
		p.giveUpLeft()
	})
}

// giveUpLeft gives up places, some calls at a time.
func (p *Pod) giveUpLeft() {
	d := p.departing
	for d.room > 0 && len(d.left) > 0 {
		request := d.left[0]
		d.left = d.left[1:]
		d.room--
		p.giveUpUntil(d.end, 1, request, func(err error) {
			d.room++
			if err != nil && !d.warned {
				d.warned = true
				p.warn("could not give up places: they are passed over", "error", err)
			}
			p.giveUpLeft()
		})
	}
	if d.room == departAtATime {
		p.departed()
	}
}

// giveUpUntil gives up tickets, trying until then; n counts the tries.
func (p *Pod) giveUpUntil(end time.Time, n int, request wire.Abandon, then func(error)) {
	send(p, Calls, request, func(a answer[int]) {
		wait := time.Duration(0)
		if a.err != nil {
			wait = p.backoff(a.err, n)
		}
		if a.err == nil || wire.ClassOf(a.err) == wire.Returned || p.now.Time().Add(wait).After(end) {
			then(a.err)
			return
		}
		p.after(wait, func() { p.giveUpUntil(end, n+1, request, then) })
	})
}

func (p *Pod) departed() {
	if !p.departing.arrived {
		p.departing.arrived = true
		p.do(Departed{})
	}
}
