package pod

import (
	"errors"
	"fmt"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// announce asks Redis right before an IDENTIFY whether its permit still stands, and
// in the same call the window begins. Only Redis can say so: for a machine that was
// paused in its dial no time has passed. While Redis is known to be away nothing is
// sent, and the permit is good up to its deadline.
func (p *Pod) announce(op *Op, q *Permit) {
	left := q.life.Left(p.now)
	switch {
	case q.settled:
		p.done(op, gatewayqueue.ErrPermitSettled)
	case left <= 0:
		p.expire(q)
		p.done(op, gatewayqueue.ErrPermitExpired)
	case p.health.outage(p.now.Time()):
		p.done(op, nil)
	default:
		op.cancel = func() { p.refusePermit(q) }
		p.after(min(AnnounceTimeout, left), func() {
			if !op.over {
				p.refusePermit(q)
				p.done(op, unanswered(p.health.last(p)))
			}
		})
		p.sendAnnouncement(op, q)
	}
}

// sendAnnouncement sends one announcement, and another where its answer takes so long
// that IDENTIFY would leave too late for its window.
func (p *Pod) sendAnnouncement(op *Op, q *Permit) {
	q.announced++
	usable := p.usable()
	opens := p.cfg.step(true) - p.cfg.announced() + usable
	request := wire.Identified{Held: q.held(), Closes: opens, Nth: q.announced, Usable: usable, OwnWindow: p.cfg.Window}
	send(p, Reports, request, func(a answer[wire.Settled]) {
		p.heard(a.err)
		stands := a.err == nil && a.reply.Code != "gone"
		if stands {
			p.opens(q.Bucket, opens)
		}
		took := a.sent.Until(p.now)
		switch {
		case op.over:
		case a.err != nil:
			p.refusePermit(q)
			err := a.err
			if wire.ClassOf(err) == wire.Returned {
				err = p.explained(err)
			}
			p.done(op, unanswered(err))
		case !stands, q.life.Left(p.now) <= 0:
			p.expire(q)
			p.done(op, gatewayqueue.ErrPermitExpired)
		case took <= usable && !q.settled:
			p.announces.took(took)
			q.leaves = Lifetime{a.sent, usable}
			p.dropPermit(q)
			op.Leaves = &Lifetime{a.sent, usable}
			p.done(op, nil)
		default:
			p.announces.took(took)
			p.sendAnnouncement(op, q)
		}
	})
}

// refusePermit ends a permit that Redis may, or may not, take for identified by now.
// Its bucket may open a window from now, while IDENTIFY would leave at a moment that
// nobody hears of: so it must not. What was paid goes back when it is abandoned.
func (p *Pod) refusePermit(q *Permit) {
	p.dropPermit(q)
	q.life.Good = 0
	p.do(Good{q, q.life})
}

func unanswered(err error) error {
	return fmt.Errorf("redisqueue: Redis did not say whether the permit stands: %w", errors.Join(gatewayqueue.ErrPermitExpired, err))
}
