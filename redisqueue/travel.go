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
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
)

// WaitSince is Wait for a caller that comes and goes. With since, which placed
// was told in an earlier call, at this pod or another, it takes the place in
// line that it had then; a zero since is the end of the line.
//
// placed, if it is not nil, is called once, unless the shard is granted right
// away: with the moment from which the place counts, on Redis's clock. If it
// returns false the caller leaves the line, and WaitSince returns an error.
func (q *RedisQueue) WaitSince(ctx context.Context, shardID int, since time.Time, placed func(since time.Time) bool) error {
	return q.WaitAs(ctx, shardID, gatewayqueue.Visit{Since: since, Placed: placed})
}

// AcquireSince is to Acquire what WaitSince is to Wait.
func (q *RedisQueue) AcquireSince(ctx context.Context, shardID int, since time.Time, placed func(since time.Time) bool) (gatewayqueue.Permit, error) {
	return q.AcquireAs(ctx, shardID, gatewayqueue.Visit{Since: since, Placed: placed})
}

// WaitAs is WaitSince for one of several calls that are for one grant. A call
// after a grant that its caller never heard of is granted again, as soon as its
// bucket opens, and takes no unit. Once the grant was settled, as
// [RedisQueue.AcquireAs] says, there is no other. A name that is none is a
// [gatewayqueue.InvalidError].
func (q *RedisQueue) WaitAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) error {
	_, err := q.acquire(ctx, shardID, false, visit)
	return err
}

// AcquireAs is to AcquireSince what WaitAs is to WaitSince. After an imported
// permit of the same wait was Identified or Abandoned it returns
// [gatewayqueue.ErrPermitSettled].
func (q *RedisQueue) AcquireAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) (gatewayqueue.Permit, error) {
	w, err := q.acquire(ctx, shardID, true, visit)
	if err != nil {
		return nil, err
	}
	return w.permit, nil
}

// checkVisit refuses a name that would not stand in a ticket.
func checkVisit(v gatewayqueue.Visit) error {
	fits := func(r rune) bool {
		return r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z'
	}
	if len(v.Wait) > 64 || strings.ContainsFunc(v.Wait, func(r rune) bool { return !fits(r) }) {
		return &gatewayqueue.InvalidError{Field: "wait", Value: strconv.Quote(v.Wait), Want: "1 to 64 letters, digits, dashes and underscores"}
	}
	return nil
}

// newTicket is a ticket that nobody has had; wait is that of another one, if it
// is one of several, as ticketWait says.
func (q *RedisQueue) newTicket(shard int, wait string) string {
	return formatTicket(shard, q.config.pod, q.tickets.Add(1)) + wait
}

// take gives the waiter what its caller brings along.
func (w *waiter) take(v gatewayqueue.Visit) (placed <-chan struct{}) {
	if !v.Since.IsZero() {
		w.arrival = v.Since.UnixMilli()
	}
	if v.Placed != nil {
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

// errSettled says that the wait of a ticket has had its grant.
var errSettled = fmt.Errorf("redisqueue: this wait has had its grant, which was reported: %w", gatewayqueue.ErrPermitSettled)

var errLeft = errors.New("redisqueue: the caller has left the line once it knew its place")

// tellPlace tells a caller its place, and returns an error if it leaves.
func (q *RedisQueue) tellPlace(w *waiter, v gatewayqueue.Visit) error {
	q.mu.Lock()
	still, since := w.state == waiting, time.UnixMilli(w.arrival)
	q.mu.Unlock()
	if !still || v.Placed(since) {
		return nil
	}
	return q.leave(w, func(error) error { return errLeft })
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
// sends one call, or two if the permit has ended: [gatewayqueue.ErrPermitSettled]
// says that it was reported, and else [gatewayqueue.ErrPermitExpired] that its
// lease has ended, or that it is as old as [gatewayqueue.PermitBound] by Redis's
// clock. A record that is not one is a
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
	now := elapsed.Now()
	age := time.Since(time.UnixMilli(at)) // on two clocks: for events only
	return &permit{
		queue: q, imported: true, ticket: fields[0], shard: shard, bucket: bucket, maxConcurrency: mc,
		granted: now.Time().Add(-min(max(0, age), gatewayqueue.PermitBound)), grantedAt: at, made: now, life: lifetime{from: now},
	}, nil
}

// Renew renews an imported permit, once. See [RedisQueue.Import].
func (p *permit) Renew(ctx context.Context) error {
	renewed, err := p.queue.renew(ctx, []*permit{p})
	switch {
	case err != nil && classify(err) == returned:
		return explain(err, p.queue.store.keys)
	case err != nil:
		return err
	case renewed[0]:
		return nil
	}
	if settled, err := p.queue.store.settled(ctx, p); err == nil && settled {
		return gatewayqueue.ErrPermitSettled
	}
	return gatewayqueue.ErrPermitExpired
}

// IdentifiedWithin is Identified for an IDENTIFY that leaves up to d from now,
// which closes the bucket for as much longer.
func (p *permit) IdentifiedWithin(ctx context.Context, d time.Duration) error {
	p.queue.mu.Lock()
	p.within = max(d, 0)
	p.queue.mu.Unlock()
	return p.Identified(ctx)
}

// Bucket is the bucket that the permit closes.
func (p *permit) Bucket() int { return p.bucket }

// Held says for how long the permit keeps its bucket closed yet, whoever renews
// it; 0 if it was settled or has ended. It reads one key, and does not try again.
func (p *permit) Held(ctx context.Context) (time.Duration, error) {
	s := p.queue.store
	slot, left, err := s.remember(ctx, s.keys.slot(p.bucket), "", 0, false)
	switch {
	case err != nil && classify(err) == returned:
		return 0, explain(err, s.keys)
	case err != nil || slot != p.ticket+permitSuffix:
		return 0, err
	}
	return max(left, time.Millisecond), nil
}

// Remember keeps a value for all servers of this application, unless there is
// one of that name already, or replace is set; an empty value only asks. It
// returns the one in force and for how long it is kept yet: keep counts from when
// the name first had a value, and is for ever if it is 0; left is negative then.
func (q *RedisQueue) Remember(ctx context.Context, name, value string, keep time.Duration, replace bool) (inForce string, left time.Duration, err error) {
	for n := 1; ; n++ {
		inForce, left, err = q.store.remember(ctx, q.store.keys.shared(name), value, keep, replace)
		q.heard(nil, err)
		switch {
		case err == nil:
			return inForce, left, nil
		case classify(err) == returned:
			return "", 0, explain(err, q.store.keys)
		case q.ctx.Err() != nil:
			return "", 0, gatewayqueue.ErrClosed
		}
		if ctxerr.Sleep(ctx, retryIn(err, n)) != nil {
			return "", 0, ctxerr.Ended(ctx, err)
		}
	}
}
