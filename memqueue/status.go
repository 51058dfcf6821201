// A look at the queue.

package memqueue

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
	"github.com/gatewayqueue/gatewayqueue/internal/words"
)

// Bounds on what a Status looks at under the lock.
const (
	statusPlaces = 10   // of each line that it shows
	statusLooked = 1024 // the length of a line of which it says which shards stand there
)

// Status implements [gatewayqueue.StatusReader]. It does not block; it returns [gatewayqueue.ErrClosed], or
// why ctx has ended.
func (q *Queue) Status(ctx context.Context) (gatewayqueue.Status, error) {
	if err := ctxerr.Ended(ctx); err != nil {
		return gatewayqueue.Status{}, err
	}
	now := q.lock()
	defer q.unlock()
	if q.closed {
		return gatewayqueue.Status{}, gatewayqueue.ErrClosed
	}
	s := gatewayqueue.Status{
		Time: now,
		Budget: gatewayqueue.BudgetStatus{
			Total: q.budget.total, Remaining: q.budget.remaining,
			MaxConcurrency: q.maxConcurrency, Reset: q.budget.reset,
		},
		Buckets: make([]gatewayqueue.BucketStatus, q.maxConcurrency),
		Spent:   maps.Clone(q.budget.spent),
		Hold:    max(0, later(q.before.hold, q.beforeOpens(now)).Sub(now)),
		Step:    q.window + q.margin,
		Seq:     q.grants,
	}
	if q.paused(now) {
		pause := *q.halt.pause
		s.Pause = &pause
	}
	s.SpentBy = len(s.Spent)
	for _, n := range s.Spent {
		s.SpentAll += n
	}
	if q.maxConcurrency > 0 && q.budget.total == 0 {
		s.Budget.Never = "gatewayqueue: " + words.Never
	}
	for id := range s.Buckets {
		s.Buckets[id] = q.buckets[id].status(q, now)
		s.Buckets[id].Bucket = id
	}
	return s, nil
}

// status may be asked of a bucket that was never used, which is nil.
func (b *bucket) status(q *Queue, now time.Time) gatewayqueue.BucketStatus {
	if b == nil {
		b = &bucket{}
	}
	_, most := q.opens(b, now)
	s := gatewayqueue.BucketStatus{Closed: max(0, most.Sub(now)), Waiting: b.line.length}
	if b.holder != nil {
		s.Holder, s.Permit = b.holder.String(), b.holder.permit
	}
	all, seen := b.line.length <= statusLooked, make(map[int]bool)
	for k := b.line.head; k != nil && (all || len(s.Line) < statusPlaces); k = k.next {
		if len(s.Line) < statusPlaces {
			s.Line = append(s.Line, gatewayqueue.Place{Ticket: k.ticket.String(), Arrival: k.ticket.arrival})
		}
		if shard := k.ticket.shard; all && !seen[shard] {
			s.Shards, seen[shard] = append(s.Shards, shard), true
		}
	}
	return s
}

// String names the ticket as a shared queue would, with an empty pod.
func (t *ticket) String() string { return fmt.Sprintf("%d@#%d", t.shard, t.number) }
