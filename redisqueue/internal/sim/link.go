package sim

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

var (
	errTimeout = errors.New("read tcp: i/o timeout")
	errRefused = errors.New("dial tcp: connect: connection refused")
)

// flight is a call on its way.
type flight struct {
	send     pod.Send
	answered bool
}

// travel sends a call to the server and its answer back.
func (p *simPod) travel(s pod.Send) {
	w, r := p.world, p.net
	sent, f := p.moment(), &flight{send: s}
	p.flights = append(p.flights, f)
	answer := func(d time.Duration, raw any, err error, acked int) {
		w.in(d, func() {
			if f.answered {
				return
			}
			f.answered = true
			p.flights = slices.DeleteFunc(p.flights, func(one *flight) bool { return one == f })
			p.step(pod.Answered{To: s, Raw: raw, Err: err, Sent: sent, Acked: acked})
		})
	}
	there, back, draw, lose := some(r, p.slow()), some(r, p.slow()), r.Float64(), w.plan.lose
	if w.now.After(w.quietAt) {
		lose = 0 // nothing fails any more
	}
	copied, when := r.Float64() < w.plan.twice, some(r, w.plan.late)
	timeout := time.Second + some(r, 2*time.Second)
	cut := w.now.Before(p.cutOff)
	if draw < lose/2 || cut && draw < 0.5 {
		w.reach(CallLost)
		answer(timeout, nil, errTimeout, 0)
		return
	}
	w.in(there, func() {
		if w.now.Before(w.redis.away) && !p.oldMaster {
			answer(back, nil, errRefused, 0)
			return
		}
		raw, err := w.execute(p, s)
		acked := w.redis.acked(p)
		if s.Replicas > acked && codeOf(raw) == "granted" {
			w.reach(Unacknowledged)
		}
		if copied {
			w.in(when, func() {
				if !w.now.Before(w.redis.away) {
					w.reach(LateCopyRan)
					if sync, is := s.Request.(wire.Sync); is && sync.Update && sync.Limit.Asked == 0 {
						w.reach(LateUpdateRan)
					}
					_, _ = w.execute(p, s)
				}
			})
		}
		if cut || draw < lose {
			w.reach(ReplyLost)
			answer(timeout, nil, io.EOF, 0)
			return
		}
		answer(back, raw, err, acked)
	})
}

// hangup ends the calls that are under way, but those that report permits.
func (p *simPod) hangup() {
	for _, f := range p.flights {
		if f.send.Lane == pod.Calls && !f.answered {
			f.answered = true
			p.world.in(0, func() { p.step(pod.Answered{To: f.send, Err: context.Canceled, Sent: p.moment()}) })
		}
	}
}
