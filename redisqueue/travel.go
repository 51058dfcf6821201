// What travels between pods: a place that a caller comes back to, and a permit
// that one pod grants and another one settles. Servers that are stateless over
// Redis are made of these (package httpqueue).

package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// WaitSince is Wait for a caller that comes and goes. With since, which placed
// was told in an earlier call, at this pod or another, it takes the place in
// line that it had then; a zero since is the end of the line.
//
// placed, if it is not nil, is called once, unless the shard is granted right
// away: with the moment from which the place counts, on Redis's clock. If it
// returns false the caller leaves the line, and WaitSince returns an error.
func (q *RedisQueue) WaitSince(ctx context.Context, shardID int, since time.Time, placed func(since time.Time) bool) error {
	_, err := q.acquire(ctx, shardID, false, seat{since, placed})
	return err
}

// AcquireSince is to Acquire what WaitSince is to Wait.
func (q *RedisQueue) AcquireSince(ctx context.Context, shardID int, since time.Time, placed func(since time.Time) bool) (gatewayqueue.Permit, error) {
	w, err := q.acquire(ctx, shardID, true, seat{since, placed})
	if err != nil {
		return nil, err
	}
	return w.permit, nil
}

// seat is what a caller brings along that comes and goes.
type seat struct {
	since  time.Time
	placed func(time.Time) bool
}

func (s seat) take(w *waiter) (placed <-chan struct{}) {
	if !s.since.IsZero() {
		w.arrival = s.since.UnixMilli()
	}
	if s.placed != nil {
		w.placed = make(chan struct{})
	}
	return w.placed
}

// place makes the waiter's place known to its caller. The caller holds mu.
func (w *waiter) place() {
	if w.state == waiting && w.arrival != 0 { // a shard that rests has lost its place
		close(w.placed)
		w.placed = nil
	}
}

var errLeft = errors.New("redisqueue: the caller has left the line once it knew its place")

// tellPlace tells a caller its place, and returns an error if it leaves.
func (q *RedisQueue) tellPlace(w *waiter, s seat) error {
	q.mu.Lock()
	still, since := w.state == waiting, time.UnixMilli(w.arrival)
	q.mu.Unlock()
	if !still || s.placed(since) {
		return nil
	}
	return q.leave(w, func() error { return errLeft })
}

// Export hands a permit of this queue over to whoever has its record: any pod
// can Import it. This pod renews it no more, so that its lease ends unless
// another renewal comes within its Deadline.
func (q *RedisQueue) Export(granted gatewayqueue.Permit) (record string, err error) {
	p, ok := granted.(*permit)
	if !ok || p.queue != q {
		return "", &gatewayqueue.InvalidError{Field: "permit", Value: fmt.Sprintf("a %T", granted), Want: "one of this queue"}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.permits, p)
	return fmt.Sprintf("%s %d %d %d", p.ticket, p.bucket, p.maxConcurrency, p.grantedAt), nil
}

// Import is the permit of a record that a pod of the same application has
// exported. It does no I/O: how the permit stands is not known, and its
// Deadline has passed, until its Renew(context.Context) error says nil. Renew
// sends one call; [gatewayqueue.ErrPermitExpired] says that the permit was
// settled, that its lease has ended, or that it is as old as
// [gatewayqueue.PermitBound] by Redis's clock. A record that is not one is a
// [gatewayqueue.InvalidError].
func (q *RedisQueue) Import(record string) (gatewayqueue.Permit, error) {
	bad := &gatewayqueue.InvalidError{Field: "record", Value: strconv.Quote(record), Want: "one that Export has returned"}
	fields := strings.Split(record, " ")
	if len(fields) != 4 {
		return nil, bad
	}
	shard, _, _, ok := parseTicket(fields[0])
	bucket, err1 := strconv.Atoi(fields[1])
	mc, err2 := strconv.Atoi(fields[2])
	at, err3 := strconv.ParseInt(fields[3], 10, 64)
	if !ok || errors.Join(err1, err2, err3) != nil || mc < 1 || mc > maxConcurrencyBound || bucket != shard%mc || at < 0 {
		return nil, bad
	}
	now := time.Now()
	age := now.Sub(time.UnixMilli(at)) // on two clocks: for events only
	return &permit{
		queue: q, ticket: fields[0], shard: shard, bucket: bucket, maxConcurrency: mc,
		granted: now.Add(-min(max(0, age), gatewayqueue.PermitBound)), grantedAt: at, bound: now.Add(gatewayqueue.PermitBound), deadline: now,
	}, nil
}

// Renew renews an imported permit, once. See [RedisQueue.Import].
func (p *permit) Renew(ctx context.Context) error {
	renewed, err := p.renew(ctx)
	switch {
	case err != nil && classify(err) == returned:
		return explain(err, p.queue.store.keys)
	case err != nil:
		return err
	case !renewed:
		return gatewayqueue.ErrPermitExpired
	}
	return nil
}

// Bucket is the bucket that the permit closes.
func (p *permit) Bucket() int { return p.bucket }

// Held says for how long the permit keeps its bucket closed yet, whoever renews
// it; 0 if it was settled or has ended. It sends what Status does.
func (p *permit) Held(ctx context.Context) (time.Duration, error) {
	status, err := p.queue.Status(ctx)
	if err != nil || p.bucket >= len(status.Buckets) {
		return 0, err
	}
	if b := status.Buckets[p.bucket]; b.Holder == p.ticket && b.Permit {
		return b.Closed, nil
	}
	return 0, nil
}
