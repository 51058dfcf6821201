// The queue's pauses.

package memqueue

import (
	"context"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// halt is a pause and what was ordered before.
type halt struct {
	pause *gatewayqueue.PauseStatus // nil while not paused
	ends  alarm                     // set while somebody waits for the end of a pause that has one
	audit []gatewayqueue.AuditEntry // the latest first
}

// Pause implements [gatewayqueue.Pauser]. It does not block.
func (q *Queue) Pause(ctx context.Context, order gatewayqueue.Order) error {
	return q.order(ctx, order, gatewayqueue.OrderPause, order.Validate())
}

// Resume implements [gatewayqueue.Pauser]. It does not block.
func (q *Queue) Resume(ctx context.Context, order gatewayqueue.Order) error {
	return q.order(ctx, order, gatewayqueue.OrderResume, order.ValidateResume())
}

func (q *Queue) order(ctx context.Context, order gatewayqueue.Order, what string, invalid error) error {
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
		return gatewayqueue.ErrClosed
	case what == gatewayqueue.OrderResume && !paused:
		return nil
	}
	q.halt.ends.stop()
	if q.halt.pause = nil; what == gatewayqueue.OrderPause {
		q.halt.pause = &gatewayqueue.PauseStatus{Since: now, Who: order.Who, Why: order.Why}
		if order.For > 0 {
			q.halt.pause.Until = now.Add(order.For)
			q.checkPause(now)
		}
		q.events = append(q.events, gatewayqueue.Event{Kind: gatewayqueue.EventPaused, Err: q.halt.pause.Blocks(now)})
	} else {
		q.events = append(q.events, gatewayqueue.Event{Kind: gatewayqueue.EventResumed})
	}
	entry := gatewayqueue.AuditEntry{Time: now.Truncate(time.Second), What: what, Order: order}
	q.halt.audit = append([]gatewayqueue.AuditEntry{entry}, q.halt.audit[:min(len(q.halt.audit), gatewayqueue.AuditKept-1)]...)
	q.log.Info("an operator has given an order", "order", what, "who", order.Who, "why", order.Why, "for", order.For)
	q.serveAll(now)
	return nil
}

// Audit implements [gatewayqueue.Pauser]. It does not block.
func (q *Queue) Audit(ctx context.Context) ([]gatewayqueue.AuditEntry, error) {
	if err := ctxerr.Ended(ctx); err != nil {
		return nil, err
	}
	q.lock()
	defer q.unlock()
	if q.closed {
		return nil, gatewayqueue.ErrClosed
	}
	return append([]gatewayqueue.AuditEntry(nil), q.halt.audit...), nil
}

// paused says whether grants are. The caller holds the lock.
func (q *Queue) paused(now time.Time) bool {
	p := q.halt.pause
	if p != nil && !p.Until.IsZero() && !p.Until.After(now) {
		q.halt.pause = nil
		q.events = append(q.events, gatewayqueue.Event{Kind: gatewayqueue.EventResumed})
	}
	return q.halt.pause != nil
}

// awaitResume has somebody wait for the end of the pause, if it has one. The caller
// holds the lock.
func (q *Queue) awaitResume(now time.Time) {
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
