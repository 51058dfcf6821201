// The queue's decisions: who enters, who is granted, and what closes
// a bucket. All of it runs under the queue's lock.

package memqueue

import (
	"context"
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// bucket is a slot and the line in front of it.
type bucket struct {
	id     int
	line   line
	floor  time.Time // closed until then, whatever becomes of the holder
	holder *ticket   // closes it besides, until it is reported or its time is up
	alarm  alarm     // set while the first of the line waits for the slot
	old    bool      // of an earlier mapping
}

// past is what earlier mappings left behind.
type past struct {
	hold    time.Time            // no bucket opens before: a window after the last grant
	permits map[*ticket]struct{} // those still out
}

// enter puts t in line, from where it may be granted at once.
func (q *Queue) enter(t *ticket, now time.Time) error {
	if q.closed {
		return gatewayqueue.ErrClosed
	}
	if q.settledVisit(t, now) {
		return gatewayqueue.ErrPermitSettled
	}
	q.tickets++
	t.number, t.arrival = q.tickets, now
	if !t.since.IsZero() && t.since.Before(now) {
		t.arrival = t.since
	}
	t.bucket = q.bucket(t.shard)
	if err := q.inTime(t, now); err != nil {
		return err
	}
	t.bucket.line.insert(&t.place, t)
	q.waiting++
	if !t.deadline.IsZero() {
		q.hasty.add(&t.hasty, t)
	}
	q.serve(t.bucket, now)
	if t.granted.IsZero() && t.err == nil {
		t.ready = make(chan struct{})
		if q.before.hold.After(now) {
			q.block(t, now, gatewayqueue.ReasonHold)
		}
	}
	return nil
}

// bucket is the one that a shard is in.
func (q *Queue) bucket(shard int) *bucket {
	id := gatewayqueue.SessionStartLimit{MaxConcurrency: q.maxConcurrency}.Bucket(shard)
	b := q.buckets[id]
	if b == nil {
		b = &bucket{id: id}
		b.alarm.ring = func() {
			now := q.lock()
			defer q.unlock()
			b.alarm.rang(now)
			q.serve(b, now)
		}
		q.buckets[id] = b
	}
	return b
}

// serve grants to the first of the line as long as that is possible, and then
// sets the alarm for when it will be.
func (q *Queue) serve(b *bucket, now time.Time) {
	for t := b.line.first(); t != nil; t = b.line.first() {
		if q.settledVisit(t, now) {
			q.refuse(t, gatewayqueue.ErrPermitSettled)
			continue
		}
		if q.paused(now) {
			q.awaitResume(now)
			q.block(t, now, gatewayqueue.ReasonPaused)
			return
		}
		if q.maxConcurrency > 0 {
			if _, at := q.opens(b, now); at.After(now) {
				b.alarm.set(at, now)
				return
			}
			if q.budget.remaining == 0 && !q.paid(t, now) {
				q.awaitReset(now)
				q.block(t, now, gatewayqueue.ReasonBudget)
				return
			}
		}
		q.grant(t, now)
	}
}

// serveAll serves every bucket; those whose first waits longest come first,
// because the budget may not be enough for all.
func (q *Queue) serveAll(now time.Time) {
	var busy []*bucket
	for _, b := range q.buckets {
		if b.line.length > 0 {
			busy = append(busy, b)
		}
	}
	slices.SortFunc(busy, func(a, b *bucket) int { return a.line.first().compare(b.line.first()) })
	for _, b := range busy {
		q.serve(b, now)
	}
}

func (q *Queue) grant(t *ticket, now time.Time) {
	q.remove(t)
	q.grants++
	t.granted = now
	if t.ready != nil {
		defer close(t.ready) // last: from then on the caller reads t
	}
	if q.maxConcurrency == 0 {
		return
	}
	q.pay(t, now)
	t.closes = now.Add(q.window + q.margin)
	if t.permit {
		// Its holder may identify at the last moment and never say so.
		t.closes = t.Deadline().Add(q.window + q.margin)
	}
	t.bucket.holder = t
	if q.budget.remaining == 0 {
		q.checkDeadlines(now)
	}
}

// opens is when b opens: for certain not before least, and at the latest at
// most, because only a permit that is out can be given back.
func (q *Queue) opens(b *bucket, now time.Time) (least, most time.Time) {
	least = later(b.floor, q.before.hold)
	most = least
	if t := b.holder; t != nil {
		switch {
		case !t.closes.After(now):
			b.holder = nil
			q.expire(t, now)
		case t.permit:
			most = later(most, t.closes)
		default:
			least = later(least, t.closes)
			most = least
		}
	}
	if len(q.before.permits) > 0 {
		most = later(most, q.beforeOpens(now))
	}
	return least, most
}

// beforeOpens is when the last of the earlier mappings' permits has ended.
func (q *Queue) beforeOpens(now time.Time) (at time.Time) {
	for t := range q.before.permits {
		if !t.closes.After(now) {
			delete(q.before.permits, t)
			q.expire(t, now)
		}
		at = later(at, t.closes)
	}
	return at
}

// leave takes a caller out that waits no longer. One that was granted in that
// instant gives slot and unit back.
func (q *Queue) leave(t *ticket, ctx context.Context) { //nolint:revive // the context is why it leaves
	now := q.lock()
	defer q.unlock()
	switch {
	case t.err != nil: // refused in that instant
	case t.granted.IsZero():
		t.err = ctxerr.Ended(ctx, q.blocked(t, now))
		q.remove(t)
	default:
		t.err = ctxerr.Ended(ctx)
		q.release(t, gatewayqueue.EventAbandoned, now)
	}
}

// refuse ends a wait with an error.
func (q *Queue) refuse(t *ticket, why error) {
	q.remove(t)
	t.err = why
	if t.ready != nil {
		close(t.ready)
	}
}

// remove takes t out of its lines, and stops the alarms that nobody needs.
func (q *Queue) remove(t *ticket) {
	t.bucket.line.remove(&t.place)
	q.hasty.remove(&t.hasty)
	if t.bucket.line.length == 0 {
		t.bucket.alarm.stop()
	}
	if q.waiting--; q.waiting == 0 {
		q.reset.stop()
		q.halt.ends.stop()
	}
}

// rebucket puts another mapping in force.
func (q *Queue) rebucket(maxConcurrency int) {
	var moved []*ticket
	for _, b := range q.buckets {
		b.old = true
		b.alarm.stop()
		q.before.hold = later(q.before.hold, b.floor)
		if t := b.holder; t != nil && t.permit {
			q.before.permits[t] = struct{}{}
		} else if t != nil {
			q.before.hold = later(q.before.hold, t.closes)
		}
		for t := b.line.first(); t != nil; t = b.line.first() {
			b.line.remove(&t.place)
			moved = append(moved, t)
		}
	}
	slices.SortStableFunc(moved, (*ticket).compare)
	q.maxConcurrency = maxConcurrency
	q.buckets = make(map[int]*bucket)
	for _, t := range moved {
		t.bucket = q.bucket(t.shard)
		t.bucket.line.insert(&t.place, t)
	}
}
