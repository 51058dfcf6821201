// Why the queue grants nothing for now: to those whose context ends, to
// the log and to the observer.

package memqueue

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/words"
)

// tellAgain is how often the same reason is told: to the log, and as an event.
const tellAgain = time.Minute

// reason is what keeps t waiting, and at least how long: 0 if that is not known. The caller holds the lock.
func (q *Queue) reason(t *ticket, now time.Time) (gatewayqueue.Reason, time.Duration) {
	if p := q.halt.pause; p != nil {
		return gatewayqueue.ReasonPaused, max(0, p.Until.Sub(now))
	}
	if q.maxConcurrency == 0 {
		return gatewayqueue.ReasonLine, 0
	}
	least, _ := q.opens(t.bucket, now)
	held := later(q.before.hold, q.beforeOpens(now))
	reset, certain := q.budget.exhaustedUntil()
	switch {
	case q.budget.total == 0:
		return gatewayqueue.ReasonLimits, 0
	case certain:
		return gatewayqueue.ReasonBudget, reset.Sub(now)
	case q.budget.remaining == 0:
		return gatewayqueue.ReasonBudget, 0
	case held.After(now) && !held.Before(least):
		return gatewayqueue.ReasonHold, held.Sub(now)
	}
	return gatewayqueue.ReasonLine, max(0, least.Sub(now))
}

// blocked is the same as an error.
func (q *Queue) blocked(t *ticket, now time.Time) *gatewayqueue.BlockedError {
	e := &gatewayqueue.BlockedError{}
	switch e.Reason, e.Wait = q.reason(t, now); e.Reason {
	case gatewayqueue.ReasonPaused:
		return q.halt.pause.Blocks(now)
	case gatewayqueue.ReasonLimits:
		e.Text, e.Cure = words.Never, words.CureLimits
	case gatewayqueue.ReasonBudget:
		if e.Text = words.Budget; e.Wait == 0 {
			e.Text = "the last units of the budget are out in permits"
		}
	case gatewayqueue.ReasonHold:
		e.Text = words.Hold + ", after a start or a change of limits"
	default:
		e.Text = fmt.Sprintf("bucket %d is closed after an identify", t.bucket.id)
	}
	return e
}

// block tells that t waits for a hold, or for the budget, unless that was told just
// now. The caller holds the lock, and keeps the stack that this takes for as long as
// it waits: so it goes no deeper than it must.
func (q *Queue) block(t *ticket, now time.Time, about gatewayqueue.Reason) {
	if said, ok := q.said[about]; !ok || now.Sub(said) >= tellAgain {
		q.tell(t, now, about)
	}
}

//go:noinline
func (q *Queue) tell(t *ticket, now time.Time, about gatewayqueue.Reason) {
	if q.said == nil {
		q.said = make(map[gatewayqueue.Reason]time.Time)
	}
	q.said[about] = now
	e := q.blocked(t, now)
	q.events = append(q.events, gatewayqueue.Event{Kind: gatewayqueue.EventBlocked, ShardID: t.shard, Bucket: t.bucket.id, Elapsed: e.Wait, Err: e})
}

// say logs an EventBlocked; not under the lock. Its frame is not to be a part of
// its caller's, as block says.
//
//go:noinline
func (q *Queue) say(e gatewayqueue.Event) {
	b, ok := e.Err.(*gatewayqueue.BlockedError) //nolint:errorlint // nobody has wrapped it
	if !ok {
		return
	}
	level := slog.LevelWarn
	if b.Reason == gatewayqueue.ReasonHold {
		level = slog.LevelInfo
	}
	q.log.Log(context.Background(), level, "nothing is granted for now", b.Attrs()...)
}
