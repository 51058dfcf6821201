package pod

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// renewBatch bounds the permits in one renewal, and so the length of its script.
const renewBatch = 64

// renewable says that a permit is to be renewed when that is due. One that was
// announced needs no renewal any more.
func (q *Permit) renewable() bool { return !q.renewing && q.announced == 0 }

// renewDue renews those permits that are due, and with them those that soon will be:
// many in one call, so that a pod with hundreds of permits keeps them also where Redis
// is a long way off.
func (p *Pod) renewDue() {
	now, soon := p.now.Time(), p.cfg.renewEvery()/4
	var due []*Permit
	some := false
	for _, q := range p.permits {
		if q.renewable() && now.Add(soon).After(q.renewal) {
			due = append(due, q)
			some = some || !now.Before(q.renewal)
		}
	}
	if !some {
		return
	}
	for _, q := range due {
		q.renewing, q.renewal = true, now.Add(p.cfg.renewEvery())
	}
	for len(due) > 0 {
		batch := due[:min(len(due), renewBatch)]
		due = due[len(batch):]
		p.renewBatch(batch)
	}
}

// renewBatch renews permits in one call, and ends those that can be renewed no
// more. One whose keys are of another type spoils the call: then each is renewed
// by itself.
func (p *Pod) renewBatch(batch []*Permit) {
	p.renew(batch, func(renewed map[*Permit]bool, err error) {
		if err != nil && wire.ClassOf(err) == wire.Returned && len(batch) > 1 {
			for _, q := range batch {
				p.renewBatch([]*Permit{q})
			}
			return
		}
		again := p.now.Time().Add(p.cfg.renewEvery() / 3) // there may be time for another try
		for _, q := range batch {
			q.renewing = false
			switch {
			case err != nil && again.Before(q.renewal):
				q.renewal = again
			case err == nil && !renewed[q]:
				p.expire(q)
			}
		}
	})
}

// renew renews permits, once. Those that are not in renewed have ended: they were
// settled, their lease is over, or they are as old as a permit may be, on Redis's
// clock or by what has passed at this pod.
func (p *Pod) renew(permits []*Permit, then func(renewed map[*Permit]bool, err error)) {
	request := wire.Renew{OwnWindow: p.cfg.Window}
	var asked []*Permit
	before := make(map[*Permit]Lifetime, len(permits))
	tail := p.cfg.PermitLease - p.cfg.PermitGood() // it is not for the holder
	for _, q := range permits {
		good := min(p.cfg.PermitGood(), gatewayqueue.MaxPermitDuration-q.made.Until(p.now))
		if good <= 0 {
			continue
		}
		before[q] = q.life
		asked = append(asked, q)
		request.Permits = append(request.Permits, wire.Renewal{
			Held: q.held(), Lease: tail + good, Good: good, InTime: q.life.Left(p.now) > 0,
			Latest: q.GrantedAt + (gatewayqueue.MaxPermitDuration + tail).Milliseconds(),
		})
	}
	renewed := make(map[*Permit]bool, len(asked))
	if len(asked) == 0 {
		then(renewed, nil)
		return
	}
	replicas := p.server.replicas
	sendAs(p, Send{Request: request, Lane: Reports, Replicas: replicas}, request, func(a answer[[]wire.Settled]) {
		err := a.err
		if err == nil && a.acked < replicas {
			err = &wire.UnacknowledgedError{Acked: a.acked, Want: replicas, At: p.now.Time()}
		}
		p.heard(err)
		if err != nil {
			then(renewed, err)
			return
		}
		for i, r := range a.reply {
			q := asked[i]
			if q.announced > 0 { // meanwhile: it needs none any more
				renewed[q] = true
				continue
			}
			age := time.Duration(r.Now-q.GrantedAt) * time.Millisecond
			good := min(request.Permits[i].Good, gatewayqueue.MaxPermitDuration-age)
			// An answer that comes too late counts no more: the bucket may have had another
			// holder before the renewal was executed, whose slot was lost since.
			tooLate := -before[q].Left(p.now) > p.cfg.Window
			if r.Code != "gone" && good > 0 && !tooLate {
				q.life = Lifetime{a.sent, good}
				p.do(Good{q, q.life})
				renewed[q] = true
			}
		}
		then(renewed, nil)
	})
}

// renewOnce renews an imported permit.
func (p *Pod) renewOnce(op *Op, q *Permit) {
	p.renew([]*Permit{q}, func(renewed map[*Permit]bool, err error) {
		switch {
		case err != nil && wire.ClassOf(err) == wire.Returned:
			p.done(op, p.explained(err))
		case err != nil || renewed[q]:
			p.done(op, err)
		default:
			p.done(op, gatewayqueue.ErrPermitExpired)
		}
	})
}
