// What the queue knows about time to come: waits that outlast their
// caller's deadline, and the alarms that end the others.

package memqueue

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// inTime returns a DeadlineError if t's turn is certain to come after its
// caller's deadline. The line in front does not count: all of it may leave.
func (q *Queue) inTime(t *ticket, now time.Time) error {
	if t.deadline.IsZero() {
		return nil
	}
	var at time.Time
	if q.maxConcurrency > 0 {
		at, _ = q.opens(t.bucket, now)
		if reset, certain := q.budget.exhaustedUntil(); certain {
			at = later(at, reset)
		}
	}
	if p := q.halt.pause; p != nil { // an operator may end it sooner, and so may an update the others
		at = later(at, p.Until)
	}
	if at.After(now) && at.After(t.deadline) {
		blocked := q.blocked(t, now)
		return &gatewayqueue.DeadlineError{Wait: at.Sub(now), Reason: blocked.Text, Kind: blocked.Reason}
	}
	return nil
}

// checkDeadlines refuses those whom an exhausted budget keeps for too long.
// Each is looked at once per period and update, so that a budget which hovers
// around its last unit does not cost a look at the whole line each time.
func (q *Queue) checkDeadlines(now time.Time) {
	if _, certain := q.budget.exhaustedUntil(); !certain {
		return
	}
	for t := q.hasty.first(); t != nil; t = q.hasty.first() {
		q.hasty.remove(&t.hasty)
		if err := q.inTime(t, now); err != nil {
			q.refuse(t, err)
		}
	}
}

// checkPause refuses those whom a pause keeps for too long.
func (q *Queue) checkPause(now time.Time) {
	for _, b := range q.buckets {
		for k := b.line.head; k != nil; {
			t := k.ticket
			k = k.next
			if err := q.inTime(t, now); err != nil {
				q.refuse(t, err)
			}
		}
	}
}

// doubt has every deadline looked at again: there is another reset.
func (q *Queue) doubt() {
	for _, b := range q.buckets {
		for k := b.line.head; k != nil; k = k.next {
			if t := k.ticket; !t.deadline.IsZero() && t.hasty.ticket == nil {
				q.hasty.add(&t.hasty, t)
			}
		}
	}
}

// awaitReset sets the alarm for a new period, unless none will begin. Where the
// units are out in permits, the period begins at the latest when one lapses.
func (q *Queue) awaitReset(now time.Time) {
	if q.reset.ring == nil {
		q.reset.ring = func() {
			now := q.lock() // which has begun the new period
			defer q.unlock()
			q.reset.rang(now)
			q.lapse(now)
			q.serveAll(now)
			q.checkDeadlines(now)
		}
	}
	at := q.budget.reset
	if at.IsZero() {
		at = q.budget.nextLapse()
	}
	if !at.IsZero() {
		q.reset.set(at, now)
	}
}

// lapse ends the permits whose time is up, in whatever bucket.
func (q *Queue) lapse(now time.Time) {
	for t := range q.budget.out {
		if t.closes.After(now) {
			continue
		}
		if t.bucket.holder == t {
			t.bucket.holder = nil
		}
		delete(q.before.permits, t)
		q.expire(t, now)
	}
}

// alarm is a timer that exists while it is set.
type alarm struct {
	ring  func()
	at    time.Time // zero while it is not set
	timer *time.Timer
}

func (a *alarm) set(at, now time.Time) {
	switch {
	case a.at.Equal(at):
		return
	case a.timer == nil:
		a.timer = time.AfterFunc(at.Sub(now), a.ring)
	default:
		a.timer.Reset(at.Sub(now))
	}
	a.at = at
}

// rang is called when the timer rings. If the alarm was meanwhile set to
// ring later, that stands.
func (a *alarm) rang(now time.Time) {
	if !a.at.After(now) {
		a.at = time.Time{}
	}
}

func (a *alarm) stop() {
	if !a.at.IsZero() {
		a.timer.Stop()
		a.at = time.Time{}
	}
}

// later is the later of two moments.
func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
