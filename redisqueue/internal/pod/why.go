package pod

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/words"
)

// closed is until when every bucket is, as far as this pod has heard, and why.
type closed struct {
	until time.Time
	why   string
}

// holds notes that every bucket is closed.
func (p *Pod) holds(d time.Duration, why string) {
	if until := p.now.Time().Add(d); d > 0 && until.After(p.hold.until) {
		p.hold = closed{until, why}
	}
}

// What a hold is for, where this pod does not know better.
const (
	whyEmpty   = "Redis had no queue of this application, or has lost it, so that who identified just now is not known"
	whyJoined  = words.Elsewhere
	whyLimits  = "max_concurrency has changed"
	whyOutage  = "Redis was away, and may have lost the last grants"
	whyLost    = "Redis has lost state, so that who identified just now is not known"
	whyAnother = "another Redis server answers than before, which may have missed the last grants"
)

// holdBlocks is the hold as a reason.
func holdBlocks(d time.Duration, why string) *gatewayqueue.BlockedError {
	return &gatewayqueue.BlockedError{Reason: gatewayqueue.ReasonHold, Wait: d, Text: words.Hold + ": " + why}
}

// backoffBlocks is the backoff of a shard as a reason.
func backoffBlocks(shard int, d time.Duration) *gatewayqueue.BlockedError {
	return &gatewayqueue.BlockedError{
		Reason: gatewayqueue.ReasonBackoff, Wait: max(0, d), Text: fmt.Sprintf("shard %d backs off: it has identified too often", shard),
	}
}

// why is what keeps a waiter waiting.
func (p *Pod) why(w *Waiter) *gatewayqueue.BlockedError {
	now := p.now.Time()
	if err := p.health.last(p); err != nil {
		return storeBlocks(err)
	}
	switch never := p.cfg.Reserve.GrantsEver(p.view); {
	case p.view.MaxConcurrency == 0:
		return p.whyLobby()
	case never != nil:
		return p.neverBlocks(never)
	case p.server.still:
		return standsStill()
	case p.paused.is != nil:
		return p.paused.is.Blocks(now)
	case w.stage == backingOff:
		return backoffBlocks(w.Shard, w.backoff.at.Sub(now))
	case w.line != nil && w.line.exhausted:
		return p.budgetBlocks(max(0, w.line.ask.Sub(now)))
	case p.hold.until.After(now):
		return holdBlocks(p.hold.until.Sub(now), p.hold.why)
	case p.untilWanted() > 0:
		return holdBlocks(p.untilWanted(), whyOutage)
	case w.line == nil:
		return nil
	}
	l := w.line
	before := l.ahead
	for _, other := range l.waiters {
		if other == w {
			break
		}
		before++
	}
	b := &gatewayqueue.BlockedError{Reason: gatewayqueue.ReasonLine}
	if before > 0 {
		b.Text = fmt.Sprintf("%d stand before it in the line of bucket %d", before, l.bucket)
	} else {
		b.Text, b.Wait = fmt.Sprintf("bucket %d is closed", l.bucket), max(0, l.ask.Sub(now))
	}
	return b
}

// neverBlocks is why the limits allow no grant at all.
func (p *Pod) neverBlocks(never error) *gatewayqueue.BlockedError {
	return &gatewayqueue.BlockedError{
		Reason: gatewayqueue.ReasonLimits, Text: strings.TrimPrefix(never.Error(), "redisqueue: "),
		Cure: "correct them: WithLimit, WithReserve, or Update",
	}
}

// budgetBlocks is why no unit is left: until the reset, or for good.
func (p *Pod) budgetBlocks(reset time.Duration) *gatewayqueue.BlockedError {
	if never := p.cfg.Reserve.GrantsEver(p.view); never != nil {
		return p.neverBlocks(never)
	}
	return &gatewayqueue.BlockedError{Reason: gatewayqueue.ReasonBudget, Wait: reset, Text: words.Budget}
}

// whyLobby is why the limits are not known yet.
func (p *Pod) whyLobby() *gatewayqueue.BlockedError {
	switch err := p.health.noSource; {
	case p.cfg.Source == nil:
		return &gatewayqueue.BlockedError{Reason: gatewayqueue.ReasonStore, Text: "Redis has not said yet which limits are in force"}
	case err != nil:
		return p.sourceBlocks(err, p.cfg.Source.Wait(p.now.Time()))
	}
	return &gatewayqueue.BlockedError{
		Reason: gatewayqueue.ReasonSource, Text: "the limits are not known yet: the limit source has not answered this pod, or another one",
	}
}

// sourceBlocks is a limit source that fails as a reason.
func (p *Pod) sourceBlocks(err error, again time.Duration) *gatewayqueue.BlockedError {
	return &gatewayqueue.BlockedError{
		Reason: gatewayqueue.ReasonSource, Wait: again, Err: err,
		Text: "the limits are not known, because the limit source fails", Cure: p.cfg.Source.Cure(err),
	}
}

// Mismatch is an ErrLimitMismatch.
func (c *Config) Mismatch(inForce int) error {
	return fmt.Errorf("%w: WithLimit gave %d, the queue in Redis runs with %d; give every pod the same, use WithLimitSource, or call Update to change it for all",
		ErrLimitMismatch, c.Limit.MaxConcurrency, inForce)
}
