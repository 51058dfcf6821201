// The in-memory queue's pauses.

package gatewayqueue

import (
	"context"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// halt is a pause and what was ordered before.
type halt struct {
	pause *PauseStatus // nil while not paused
	ends  alarm        // set while somebody waits for the end of a pause that has one
	audit []AuditEntry // the latest first
}

// Pause implements [Pauser]. It does not block.
func (q *InMemoryQueue) Pause(ctx context.Context, order Order) error {
	return q.order(ctx, order, OrderPause, order.Validate())
}

// Resume implements [Pauser]. It does not block.
func (q *InMemoryQueue) Resume(ctx context.Context, order Order) error {
	return q.order(ctx, order, OrderResume, order.ValidateResume())
}

func (q *InMemoryQueue) order(ctx context.Context, order Order, what string, invalid error) error {
	if invalid != nil {
		return invalid
	}
	if err := ctxerr.Ended(ctx); err != nil {
		return err
	}
	now := q.lock()
	defer q.unlock()
	paused := q.paused(now)
	switch {
	case q.closed:
		return ErrClosed
	case what == OrderResume && !paused:
		return nil
	}
	q.halt.ends.stop()
	if q.halt.pause = nil; what == OrderPause {
		q.halt.pause = &PauseStatus{Since: now, Who: order.Who, Why: order.Why}
		if order.For > 0 {
			q.halt.pause.Until = now.Add(order.For)
		}
		q.events = append(q.events, Event{Kind: EventPaused, Err: q.halt.pause.Blocks(now)})
	} else {
		q.events = append(q.events, Event{Kind: EventResumed})
	}
	entry := AuditEntry{Time: now.Truncate(time.Second), What: what, Order: order}
	q.halt.audit = append([]AuditEntry{entry}, q.halt.audit[:min(len(q.halt.audit), AuditKept-1)]...)
	q.log.Info("an operator has given an order", "order", what, "who", order.Who, "why", order.Why, "for", order.For)
	q.serveAll(now)
	return nil
}

// Audit implements [Pauser]. It does not block.
func (q *InMemoryQueue) Audit(ctx context.Context) ([]AuditEntry, error) {
	if err := ctxerr.Ended(ctx); err != nil {
		return nil, err
	}
	q.lock()
	defer q.unlock()
	if q.closed {
		return nil, ErrClosed
	}
	return append([]AuditEntry(nil), q.halt.audit...), nil
}

// paused says whether grants are. The caller holds the lock.
func (q *InMemoryQueue) paused(now time.Time) bool {
	p := q.halt.pause
	if p != nil && !p.Until.IsZero() && !p.Until.After(now) {
		q.halt.pause = nil
		q.events = append(q.events, Event{Kind: EventResumed})
	}
	return q.halt.pause != nil
}

// awaitResume has somebody wait for the end of the pause, if it has one. The caller
// holds the lock.
func (q *InMemoryQueue) awaitResume(now time.Time) {
	if q.halt.ends.ring == nil {
		q.halt.ends.ring = func() {
			now := q.lock()
			defer q.unlock()
			q.halt.ends.rang(now)
			q.serveAll(now)
		}
	}
	if end := q.halt.pause.Until; !end.IsZero() {
		q.halt.ends.set(end, now)
	}
}
