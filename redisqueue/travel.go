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
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
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
// [RedisQueue.AcquireAs] says, there is no other. A name that is not one is a
// [gatewayqueue.InvalidError].
func (q *RedisQueue) WaitAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) error {
	_, err := q.acquire(ctx, shardID, false, visit)
	return err
}

// AcquireAs is to AcquireSince what WaitAs is to WaitSince. After an imported
// permit of the same wait was Identified or Abandoned it returns
// [gatewayqueue.ErrPermitSettled].
func (q *RedisQueue) AcquireAs(ctx context.Context, shardID int, visit gatewayqueue.Visit) (gatewayqueue.Permit, error) {
	p, err := q.acquire(ctx, shardID, true, visit)
	if err != nil {
		return nil, err
	}
	return p, nil
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

// Export hands a permit of this queue over to the holder of its record: any pod
// can Import it. This pod renews it no more, so that its lease ends unless
// another renewal comes within its Deadline.
func (q *RedisQueue) Export(granted gatewayqueue.Permit) (record string, err error) {
	p, ok := granted.(*permitHandle)
	if !ok || p.queue != q {
		return "", &gatewayqueue.InvalidError{Field: "permit", Value: fmt.Sprintf("a %T", granted), Want: "one of this queue"}
	}
	q.shell.post(pod.Export{Permit: p.of})
	return fmt.Sprintf("%s %d %d %d", p.of.Ticket, p.of.Bucket, p.of.MaxConcurrency, p.of.GrantedAt), nil
}

// Import is the permit of a record that a pod of the same application has
// exported. It does no I/O: how the permit stands is not known, and its
// Deadline has passed, until its Renew(context.Context) error says nil. Renew
// sends one call, or two if the permit has ended: [gatewayqueue.ErrPermitSettled]
// says that it was reported, and else [gatewayqueue.ErrPermitExpired] that its
// lease has ended, or that it is as old as [gatewayqueue.MaxPermitDuration] by Redis's
// clock. A record that is not one is a
// [gatewayqueue.InvalidError].
func (q *RedisQueue) Import(record string) (gatewayqueue.Permit, error) {
	bad := &gatewayqueue.InvalidError{Field: "record", Value: strconv.Quote(record), Want: "one that Export has returned"}
	fields := strings.Split(record, " ")
	if len(fields) != 4 {
		return nil, bad
	}
	shard, _, _, ok := wire.ParseTicket(fields[0])
	bucket, err1 := strconv.Atoi(fields[1])
	mc, err2 := strconv.Atoi(fields[2])
	at, err3 := strconv.ParseInt(fields[3], 10, 64)
	if !ok || errors.Join(err1, err2, err3) != nil || mc < 1 || mc > wire.MaxConcurrency || bucket != shard%mc || at < 0 {
		return nil, bad
	}
	now := elapsed.Now()
	age := time.Since(time.UnixMilli(at)) // on two clocks: for events only
	permit := pod.ImportPermit(pod.Permit{
		Ticket: fields[0], Shard: shard, Bucket: bucket, MaxConcurrency: mc,
		Granted: now.Time().Add(-min(max(0, age), gatewayqueue.MaxPermitDuration)), GrantedAt: at,
	}, now)
	q.shell.keepLife(pod.Good{Permit: permit, Life: permit.Life()})
	return handleOf(permit), nil
}
