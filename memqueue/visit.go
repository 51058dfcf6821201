// Several calls that are for one grant, in the queue.

package memqueue

import (
	"context"
	"errors"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// visitKnown is for how long it is known that a wait was paid.
const visitKnown = time.Hour

// paidVisit is what is known of a wait that was granted.
type paidVisit struct {
	period  int // the budget's, that has paid
	until   time.Time
	settled bool // its permit was Identified: there is no other grant
}

// WaitAs is Wait for one of several calls that are for one grant: a call after a
// grant that its caller never heard of is granted again, as soon as its bucket
// opens, and takes no unit. It keeps no place between two calls.
func (q *Queue) WaitAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) error {
	return q.wait(ctx, &ticket{queue: q, shard: shardID, visit: visit.Wait})
}

// AcquireAs is to Acquire what WaitAs is to Wait. Once a permit of the same wait
// was Identified, either returns [gatewayqueue.ErrPermitSettled], for an hour.
func (q *Queue) AcquireAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) (gatewayqueue.Permit, error) {
	t := &ticket{queue: q, shard: shardID, permit: true, visit: visit.Wait}
	if err := q.wait(ctx, t); err != nil {
		return nil, err
	}
	return t, nil
}

// AcquireSince is Acquire for a caller that comes and goes. With since, which placed
// was told in an earlier call, it takes the place in line that it had then; a zero
// since is the end of the line.
//
// placed, if it is not nil, is called once, unless the permit is granted right
// away: with the moment from which the place counts. If it returns false the caller
// leaves the line, and AcquireSince returns an error.
func (q *Queue) AcquireSince(ctx context.Context, shardID int, since time.Time, placed func(since time.Time) bool) (gatewayqueue.Permit, error) {
	t := &ticket{queue: q, shard: shardID, permit: true, since: since, placed: placed}
	if err := q.wait(ctx, t); err != nil {
		return nil, err
	}
	return t, nil
}

// errLeft is why a caller is not granted who left once it knew its place.
var errLeft = errors.New("gatewayqueue: the caller has left the line once it knew its place")

// paid reports whether the period in force has paid for an earlier grant of the
// same wait.
func (q *Queue) paid(t *ticket, now time.Time) bool {
	if t.visit == "" {
		return false
	}
	v, known := q.visits[t.visit]
	return known && v.period == q.budget.periods && now.Before(v.until)
}

// settledVisit reports whether a permit of the same wait was identified.
func (q *Queue) settledVisit(t *ticket, now time.Time) bool {
	v := q.visits[t.visit]
	return t.visit != "" && v.settled && now.Before(v.until)
}

// pay pays for a grant, unless that was done before.
func (q *Queue) pay(t *ticket, now time.Time) {
	if t.free = q.paid(t, now); !t.free {
		q.remember(t, now)
	}
	q.budget.take(t, now)
}

// used notes that the permit of a wait was identified.
func (q *Queue) used(t *ticket, now time.Time) {
	if t.visit == "" || t.closes.IsZero() {
		return
	}
	q.remember(t, now)
	v := q.visits[t.visit]
	v.settled = true
	q.visits[t.visit] = v
}

// remember notes that a wait is paid, and forgets those of long ago.
func (q *Queue) remember(t *ticket, now time.Time) {
	if t.visit == "" {
		return
	}
	if q.visits == nil {
		q.visits = make(map[string]paidVisit)
	}
	if now.Sub(q.swept) > time.Minute {
		q.swept = now
		for wait, v := range q.visits {
			if now.After(v.until) {
				delete(q.visits, wait)
			}
		}
	}
	q.visits[t.visit] = paidVisit{period: q.budget.periods, until: now.Add(visitKnown)}
}
