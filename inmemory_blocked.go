// Why the in-memory queue grants nothing for now: to those whose context ends, to
// the log and to the observer.

package gatewayqueue

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// tellAgain is how often the same reason is told: to the log, and as an event.
const tellAgain = time.Minute

// reason is what keeps t waiting, and at least how long: 0 if that is not known. The caller holds the lock.
func (q *InMemoryQueue) reason(t *ticket, now time.Time) (Reason, time.Duration) {
	if p := q.halt.pause; p != nil {
		return ReasonPaused, max(0, p.Until.Sub(now))
	}
	if q.maxConcurrency == 0 {
		return ReasonLine, 0
	}
	least, _ := q.opens(t.bucket, now)
	held := later(q.before.hold, q.beforeOpens(now))
	reset, certain := q.budget.exhaustedUntil()
	switch {
	case q.budget.total == 0:
		return ReasonLimits, 0
	case certain:
		return ReasonBudget, reset.Sub(now)
	case q.budget.remaining == 0:
		return ReasonBudget, 0
	case held.After(now) && !held.Before(least):
		return ReasonHold, held.Sub(now)
	}
	return ReasonLine, max(0, least.Sub(now))
}

// blocked is the same as an error.
func (q *InMemoryQueue) blocked(t *ticket, now time.Time) *BlockedError {
	e := &BlockedError{}
	switch e.Reason, e.Wait = q.reason(t, now); e.Reason {
	case ReasonPaused:
		return q.halt.pause.Blocks(now)
	case ReasonLimits:
		e.Text, e.Cure = textNever, cureLimits
	case ReasonBudget:
		if e.Text = textBudget; e.Wait == 0 {
			e.Text = "the last units of the budget are out in permits"
		}
	case ReasonHold:
		e.Text = textHold + ", after a start or a change of limits"
	default:
		e.Text = fmt.Sprintf("bucket %d is closed after an identify", t.bucket.id)
	}
	return e
}

// block tells that t waits for a hold, or for the budget, unless that was told just
// now. The caller holds the lock, and keeps the stack that this takes for as long as
// it waits: so it goes no deeper than it must.
func (q *InMemoryQueue) block(t *ticket, now time.Time, about Reason) {
	if said, ok := q.said[about]; !ok || now.Sub(said) >= tellAgain {
		q.tell(t, now, about)
	}
}

//go:noinline
func (q *InMemoryQueue) tell(t *ticket, now time.Time, about Reason) {
	if q.said == nil {
		q.said = make(map[Reason]time.Time)
	}
	q.said[about] = now
	e := q.blocked(t, now)
	q.events = append(q.events, Event{Kind: EventBlocked, ShardID: t.shard, Bucket: t.bucket.id, Elapsed: e.Wait, Err: e})
}

// say logs an EventBlocked; not under the lock. Its frame is not to be a part of
// its caller's, as block says.
//
//go:noinline
func (q *InMemoryQueue) say(e Event) {
	b, ok := e.Err.(*BlockedError) //nolint:errorlint // nobody has wrapped it
	if !ok {
		return
	}
	level := slog.LevelWarn
	if b.Reason == ReasonHold {
		level = slog.LevelInfo
	}
	q.log.Log(context.Background(), level, "nothing is granted for now", b.Attrs()...)
}
