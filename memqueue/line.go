// The places in a line: tickets, linked in the order of their arrival.

package memqueue

import (
	"cmp"
	"context"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// ticket is one caller: its place while it waits, then what it holds. It is the
// Permit of a caller that asked for one. All but queue, shard and permit is
// guarded by the queue's lock; once the caller has been told, err, bucket and
// granted do not change.
type ticket struct {
	queue    *Queue
	shard    int
	permit   bool
	visit    string                     // the wait that it is one call of, or empty
	since    time.Time                  // the place in line that it had before; zero for the end
	placed   func(since time.Time) bool // told its place, unless it is granted at once; may be nil
	free     bool                       // an earlier call has paid
	number   int64
	arrival  time.Time
	deadline time.Time // of the caller's context; zero if it has no deadline

	bucket *bucket
	place  link          // in the bucket's line
	hasty  link          // in the queue's
	ready  chan struct{} // closed when it was granted or refused; nil if that was at once
	err    error         // why it was refused, or left

	granted  time.Time
	closes   time.Time // its bucket, until then; zero where there is no limit
	era      int       // the budget's, of the unit that was paid; 0 for none
	used     time.Time // when it has identified, or may have
	expired  bool      // closes has passed unreported
	reported bool
	within   time.Duration // until when after the report its IDENTIFY may leave
}

// Identified implements [gatewayqueue.Permit].
func (t *ticket) Identified(context.Context) error {
	t.queue.settle(t, gatewayqueue.EventIdentified)
	return nil
}

// IdentifiedWithin is Identified for an IDENTIFY that leaves up to d from now,
// which closes the bucket for as much longer.
func (t *ticket) IdentifiedWithin(_ context.Context, d time.Duration) error {
	t.queue.settleWithin(t, gatewayqueue.EventIdentified, max(d, 0))
	return nil
}

// Lapse ends a permit whose holder is not heard of any more, and may have sent
// IDENTIFY until now: the window starts now. Its wait may be granted again.
func (t *ticket) Lapse() { t.queue.settle(t, gatewayqueue.EventExpired) }

// SentAfterAll hears that IDENTIFY was sent, or leaves up to d from now, though the
// permit had been given back or had lapsed: it counts, and its window starts then.
func (t *ticket) SentAfterAll(d time.Duration) { t.queue.sentAfterAll(t, max(d, 0)) }

// Abandon implements [gatewayqueue.Permit].
func (t *ticket) Abandon(context.Context) error {
	t.queue.settle(t, gatewayqueue.EventAbandoned)
	return nil
}

// Deadline implements [gatewayqueue.Permit].
func (t *ticket) Deadline() time.Time { return t.granted.Add(gatewayqueue.MaxPermitDuration) }

func (t *ticket) bucketID() int {
	if t.bucket == nil {
		return 0
	}
	return t.bucket.id
}

// compare orders tickets by arrival. Shards that arrive in one instant are
// served in their own order: Discord asks for them "in order".
func (t *ticket) compare(other *ticket) int {
	return cmp.Or(t.arrival.Compare(other.arrival), cmp.Compare(t.shard, other.shard))
}

// line is a list of tickets. The links are part of the tickets, so that a
// ticket enters and leaves without a search or an allocation.
type line struct {
	head, tail *link
	length     int
}

type link struct {
	prev, next *link
	ticket     *ticket // nil while not in a line
}

// first is nil in an empty line.
func (l *line) first() *ticket {
	if l.head == nil {
		return nil
	}
	return l.head.ticket
}

// insert puts t in its place by arrival, which is at the end or close to it.
func (l *line) insert(k *link, t *ticket) {
	after := l.tail
	for after != nil && t.compare(after.ticket) < 0 {
		after = after.prev
	}
	l.insertAfter(after, k, t)
}

// add puts t at the end.
func (l *line) add(k *link, t *ticket) { l.insertAfter(l.tail, k, t) }

// insertAfter puts t behind another, or in front of all if that is nil.
func (l *line) insertAfter(after, k *link, t *ticket) {
	*k = link{prev: after, next: l.head, ticket: t}
	if after != nil {
		k.next = after.next
		after.next = k
	} else {
		l.head = k
	}
	if k.next != nil {
		k.next.prev = k
	} else {
		l.tail = k
	}
	l.length++
}

// remove does nothing for a link that is not in the line.
func (l *line) remove(k *link) {
	if k.ticket == nil {
		return
	}
	if k.prev != nil {
		k.prev.next = k.next
	} else {
		l.head = k.next
	}
	if k.next != nil {
		k.next.prev = k.prev
	} else {
		l.tail = k.prev
	}
	*k = link{}
	l.length--
}
