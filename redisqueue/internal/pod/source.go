package pod

import (
	"log/slog"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// mayAsk says that there is a limit source, and that it may be asked. While it fails
// nobody waits for it at a reset; that it has failed some time ago, and others may
// have asked it since, is no reason not to.
func (p *Pod) mayAsk() bool { return p.cfg.Source != nil && p.cfg.Source.Wait(p.now.Time()) == 0 }

// ask asks the limit source; now is a moment before, on Redis's clock.
func (p *Pod) ask(now int64, then func(limit *wire.Report, err error)) {
	p.do(Ask{then: func(e SourceAnswered) { then(&wire.Report{SessionStartLimit: e.Limit, Asked: now}, e.Err) }})
}

// sourceAnswered notes how the limit source has answered, to this pod's ask or to a
// caller's. Where that failed Redis keeps why, and until when no pod may ask. The log
// says so at first and then hourly, and once that it answers again.
func (p *Pod) sourceAnswered(e SourceAnswered) {
	p.health.noSource = e.Err
	if e.Err == nil {
		if p.cfg.Source.Answered() {
			p.info("the limit source answers again")
		}
	} else {
		p.sourceFailed(e.Err)
	}
	if e.To.then != nil {
		e.To.then(e)
	}
}

func (p *Pod) sourceFailed(err error) {
	wait, tell := p.cfg.Source.Failed(p.now.Time(), err)
	blocked := p.sourceBlocks(err, wait)
	if tell && p.maySay("source fails") {
		p.warn("the limit source failed: limits in force stay, and where there are none nothing is granted until it answers",
			"error", err, "again_in", wait.Round(time.Second), "cure", blocked.Cure)
	}
	if p.view.MaxConcurrency == 0 {
		p.blockSaid(string(gatewayqueue.ReasonSource), blocked, nil)
	}
	if !p.cfg.Source.ForAll(err) {
		wait = 0
	}
	send(p, Calls, wire.Postpone{Wait: wait, Trouble: err.Error()}, func(a answer[string]) {
		if a.err != nil {
			p.log(slog.LevelDebug, "could not note in Redis that the limit source failed", "error", a.err) // this pod keeps to it
		}
	})
}

// refresh brings Discord's figures into the queue; now is on Redis's clock.
func (p *Pod) refresh(now int64) {
	p.ask(now, func(limit *wire.Report, err error) {
		if err != nil || p.closed {
			return // the log has it
		}
		p.update(&Op{then: func(err error) {
			if err != nil && !p.closed {
				p.warn("could not refresh the limits: those in force stay", "error", err)
			}
		}}, limit, p.cfg.NewEpoch(), p.view.MaxConcurrency, 1)
	})
}
