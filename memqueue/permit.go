// What becomes of a permit. All of it runs under the queue's lock.

package memqueue

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

func (q *Queue) expire(t *ticket, now time.Time) {
	if !t.permit {
		return
	}
	q.budget.lapse(t)
	t.expired = true
	q.note(t, gatewayqueue.EventExpired, now)
}

// settle hears what became of a permit.
func (q *Queue) settle(t *ticket, what gatewayqueue.EventKind) { q.settleWithin(t, what, 0) }

// settleWithin is settle where an IDENTIFY leaves a while after its report.
func (q *Queue) settleWithin(t *ticket, what gatewayqueue.EventKind, within time.Duration) {
	now := q.lock()
	defer q.unlock()
	if t.reported {
		return
	}
	t.reported, t.within = true, within
	if !t.expired {
		q.note(t, what, now)
	}
	if what == gatewayqueue.EventIdentified {
		q.used(t, now)
	}
	q.release(t, what, now)
}

// release ends what t holds. If it has sent IDENTIFY, or may have (EventExpired),
// its window starts now, even if it comes so late that another one holds the slot.
func (q *Queue) release(t *ticket, what gatewayqueue.EventKind, now time.Time) {
	sent := what != gatewayqueue.EventAbandoned
	if t.closes.IsZero() {
		return // granted without a limit
	}
	b := t.bucket
	if b.holder == t {
		b.holder = nil
	}
	delete(q.before.permits, t)
	wasEmpty := q.budget.remaining == 0
	until := now.Add(t.within + q.window + q.permitMargin)
	if sent {
		q.budget.identified(t, now, what == gatewayqueue.EventIdentified)
	} else {
		q.budget.giveBack(t)
		if !t.free {
			delete(q.visits, t.visit)
		}
	}
	if sent {
		q.closeUntil(b, until)
	}
	if b.old || wasEmpty {
		q.serveAll(now)
	} else {
		q.serve(b, now)
	}
	q.checkDeadlines(now)
}

// closeUntil keeps a bucket closed until then, whatever its holder does.
func (q *Queue) closeUntil(b *bucket, until time.Time) {
	if b.old {
		q.before.hold = later(q.before.hold, until)
	} else {
		b.floor = later(b.floor, until)
	}
}

// sentAfterAll is the IDENTIFY of a permit that had ended, within d from now.
func (q *Queue) sentAfterAll(t *ticket, d time.Duration) {
	now := q.lock()
	defer q.unlock()
	if t.closes.IsZero() {
		return // granted without a limit
	}
	t.within = d
	q.used(t, now)
	q.budget.identified(t, now, true)
	q.closeUntil(t.bucket, now.Add(d+q.window+q.permitMargin))
	q.checkDeadlines(now)
}
