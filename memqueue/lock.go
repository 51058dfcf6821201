// The queue's lock, and the events that are told outside it.

package memqueue

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// lock locks the queue and brings it up to date.
func (q *Queue) lock() time.Time {
	q.mu.Lock()
	now := time.Now()
	if q.budget.refill(now) {
		q.doubt()
		q.serveAll(now)
	}
	return now
}

// unlock unlocks the queue, and then tells what happened meanwhile.
func (q *Queue) unlock() {
	if q.observer == nil && len(q.events) == 0 {
		q.mu.Unlock()
		return
	}
	q.unlockAndTell()
}

// unlockAndTell is apart from unlock so that a waiting caller fits in the 2 KiB
// of stack that a goroutine begins with: a million of them take 3 GB, not 5. One goroutine
// tells at a time, also what others leave to it: the last that is told of the budget is how
// it is.
func (q *Queue) unlockAndTell() {
	if e := q.budget.event(); e != q.told {
		q.told = e
		q.events = append(q.events, e)
	}
	if q.telling {
		q.mu.Unlock()
		return
	}
	q.telling = true
	for len(q.events) > 0 {
		events := q.events
		q.events = nil
		q.mu.Unlock()
		for _, e := range events {
			q.report(e)
		}
		q.mu.Lock()
	}
	q.telling = false
	q.mu.Unlock()
}

func (q *Queue) report(e gatewayqueue.Event) {
	if q.observer != nil {
		q.observer(e)
	}
	if e.Kind == gatewayqueue.EventBlocked {
		q.say(e)
	}
}

// note keeps an event of a permit until the queue is unlocked.
func (q *Queue) note(t *ticket, kind gatewayqueue.EventKind, now time.Time) {
	if q.observer != nil {
		q.events = append(q.events, gatewayqueue.Event{Kind: kind, ShardID: t.shard, Bucket: t.bucket.id, Elapsed: now.Sub(t.granted)})
	}
}

// tellOf reports what happened to a caller; not under the lock.
func (q *Queue) tellOf(t *ticket, kind gatewayqueue.EventKind, bucket int) {
	if q.observer == nil {
		return
	}
	e := gatewayqueue.Event{Kind: kind, ShardID: t.shard, Bucket: bucket}
	switch kind {
	case gatewayqueue.EventGranted:
		e.Elapsed = t.granted.Sub(t.arrival)
	case gatewayqueue.EventLeft:
		e.Elapsed, e.Err = time.Since(t.arrival), t.err
	}
	q.observer(e)
}
