package redisqueue

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// RedisQueue is one pod's part of a queue that lives in Redis. It implements
// [gatewayqueue.PermitQueue]. Its methods may be called from any number of
// goroutines. What it decides is decided by package pod; here are its callers, and
// in shell.go the loop that serves it.
type RedisQueue struct {
	config config
	shell  *shell
}

var (
	_ gatewayqueue.PermitQueue  = (*RedisQueue)(nil)
	_ gatewayqueue.StatusReader = (*RedisQueue)(nil)
)

// New makes this pod's part of the queue. It does no I/O: the first Wait does.
// The client stays the caller's, who closes it after the queue: one of a server,
// of Sentinels or of a Redis Cluster. A redis.Ring, a pipeline, or an option out of its
// range is a [gatewayqueue.InvalidError].
func New(client redis.Scripter, opts ...Option) (*RedisQueue, error) {
	config := defaults()
	for _, opt := range opts {
		opt(&config)
	}
	if err := checkClient(client, config.Replicas); err != nil {
		return nil, err
	}
	if err := config.validate(); err != nil {
		return nil, err
	}
	config.log = config.log.With("app", config.App, "pod", config.Name)
	config.bind(client)
	q := &RedisQueue{config: config}
	q.shell = newShell(q, client)
	if config.history {
		q.record()
	}
	return q, nil
}

// Wait blocks until shardID may send IDENTIFY now, as
// [gatewayqueue.Queue] says. While Redis is away, the limits are not known, or the
// budget is used up it waits; when ctx then ends the error is also a
// [gatewayqueue.BlockedError], which says what it has waited for, and has the last
// error of Redis or of the limit source in it.
func (q *RedisQueue) Wait(ctx context.Context, shardID int) error {
	_, err := q.acquire(ctx, shardID, false, gatewayqueue.Visit{})
	return err
}

// Acquire blocks until shardID has a permit, as [gatewayqueue.PermitQueue]
// says. The permit is renewed while this pod lives.
func (q *RedisQueue) Acquire(ctx context.Context, shardID int) (gatewayqueue.Permit, error) {
	return q.AcquireSince(ctx, shardID, time.Time{}, nil)
}

// caller is a call of Wait or Acquire. A waiter has one answer in it at a time, and
// at most its place, a grant and its end, so that the pod never waits for a caller.
type caller struct {
	pod.Waiter
	answers chan pod.Command
}

// acquire returns the permit of a grant, nil if that is one of Wait.
func (q *RedisQueue) acquire(ctx context.Context, shardID int, permit bool, visit gatewayqueue.Visit) (*permitHandle, error) {
	if err := gatewayqueue.CheckShard(shardID); err != nil {
		return nil, err
	}
	if err := checkVisit(visit); err != nil {
		return nil, err
	}
	if err := ctxerr.Ended(ctx); err != nil {
		return nil, err
	}
	if q.shell.facts().Closed {
		return nil, gatewayqueue.ErrClosed
	}
	c := &caller{answers: make(chan pod.Command, 4)}
	c.Waiter = pod.Waiter{Shard: shardID, Permit: permit, Since: time.Now(), Visit: wire.VisitEnd(visit), TellsOf: visit.Placed != nil, Owner: c}
	if !visit.Since.IsZero() {
		c.Arrival = visit.Since.UnixMilli()
	}
	c.Deadline, _ = ctx.Deadline()
	q.config.observe(gatewayqueue.Event{Kind: gatewayqueue.EventWaiting, ShardID: shardID})
	q.shell.post(pod.Join{Waiter: &c.Waiter})
	for {
		select {
		case answer := <-c.answers:
			switch a := answer.(type) {
			case pod.Placed:
				if !visit.Placed(a.Since) {
					return nil, q.leave(c, func(error) error { return errLeft })
				}
			case pod.Refused:
				return nil, q.left(c, a.Err)
			case pod.Granted:
				if ctx.Err() != nil { // in the instant of the grant
					return nil, q.leave(c, func(error) error { return ctxerr.Ended(ctx, q.shell.facts().Last) })
				}
				after := a.Grant.Sent.Since()
				if q.config.IsLate(a.Grant, after) {
					q.shell.post(pod.Late{Waiter: &c.Waiter, After: after})
					continue
				}
				q.shell.post(pod.Taken{Waiter: &c.Waiter, After: after})
				q.config.observe(gatewayqueue.Event{
					Kind: gatewayqueue.EventGranted, ShardID: shardID, Bucket: a.Grant.Bucket, Elapsed: time.Since(c.Since),
				})
				return handleOf(a.Grant.Permit), nil
			}
		case <-ctx.Done():
			return nil, q.leave(c, func(blocked error) error { return ctxerr.Ended(ctx, blocked) })
		}
	}
}

// leave takes a caller out that waits no longer; why makes its error of what has kept
// it waiting. One that was refused meanwhile has that error.
func (q *RedisQueue) leave(c *caller, why func(blocked error) error) error {
	q.shell.post(pod.Leave{Waiter: &c.Waiter})
	for answer := range c.answers {
		a, ended := answer.(pod.Refused)
		switch {
		case !ended: // its place, or a grant that has gone back
		case a.Err != nil:
			return q.left(c, a.Err)
		case a.Blocked != nil:
			return q.left(c, why(a.Blocked))
		default:
			return q.left(c, why(nil))
		}
	}
	panic("unreachable")
}

func (q *RedisQueue) left(c *caller, err error) error {
	q.config.observe(gatewayqueue.Event{
		Kind: gatewayqueue.EventLeft, ShardID: c.Shard, Bucket: c.Bucket(), Elapsed: time.Since(c.Since), Err: err,
	})
	return err
}

// Update changes the limits for every pod. A new max_concurrency puts all
// waiters into their new lines, in the order in which they came; no bucket
// opens before every window of the old ones is over. What is left then is
// Remaining less the permits that are out, of which Discord has not heard; so
// give figures that Discord has just reported. Those without a reset, and full
// ones that end when ours do, may only lower what is left, but raise it by as much
// as the total has risen.
//
// It blocks until Redis has taken the limits, or ctx ends. Limits out of range
// are a [gatewayqueue.InvalidError]; max_concurrency must be 1 to 4096.
func (q *RedisQueue) Update(ctx context.Context, limit gatewayqueue.SessionStartLimit) error {
	return q.update(ctx, wire.Report{SessionStartLimit: limit})
}

func (q *RedisQueue) update(ctx context.Context, limit wire.Report) error {
	if err := validateLimit(limit.SessionStartLimit); err != nil {
		return err
	}
	if q.shell.facts().Closed {
		return gatewayqueue.ErrClosed
	}
	return q.shell.run(ctx, func(op *pod.Op) pod.Event { return pod.Update{Op: op, Limit: limit} }, func() error {
		return errors.Join(gatewayqueue.ErrClosed, q.shell.facts().Last)
	})
}

// AskSource asks the limit source once, to learn whether it answers: a program may
// want to know at its start that Discord refuses the token. The limits in force
// stay; the queue asks for them itself when somebody waits. A failure counts as
// one of those: no pod asks before the source wants to be asked again. For as long
// as it wants to be left alone, whichever pod was told so, it is not asked now
// either, and AskSource returns nil.
//
// It returns the source's error, or Redis's where that does not answer. It blocks
// until the source answers, for 10 s at most, or ctx ends.
func (q *RedisQueue) AskSource(ctx context.Context) error {
	if q.config.source == nil || q.config.pace.Wait() > 0 {
		return nil
	}
	type look struct {
		status gatewayqueue.Status
		err    error
	}
	looked, now := make(chan look, 1), look{err: errNoLook}
	go func() { // the client may have time-outs of its own
		status, err := q.Status(ctx)
		looked <- look{status, err}
	}()
	select {
	case now = <-looked:
	case <-time.After(lookTimeout):
	case <-ctx.Done():
	}
	switch {
	case errors.Is(now.err, gatewayqueue.ErrClosed):
		return now.err
	case now.err == nil && now.status.Source.After.After(now.status.Time):
		return nil
	}
	// Without Redis it is asked all the same: what it says is true of this pod.
	e := q.shell.askSource(ctx, pod.Ask{})
	if ctx.Err() == nil { // else it is the caller that ends
		q.shell.post(e)
	}
	return e.Err
}

// lookTimeout bounds how long Redis is asked what the source has said to others.
const lookTimeout = 2 * time.Second

var errNoLook = errors.New("redisqueue: Redis does not answer")

// Close ends all waits with [gatewayqueue.ErrClosed], gives up their places and
// stops renewing permits; those already handed out can still be Identified or
// Abandoned. It blocks until the pod has left Redis, 2 s at most: what it
// could not give up expires with the pod's lease. It may be called again.
func (q *RedisQueue) Close() error { return q.shell.close() }

// SetFloor keeps so many units of the budget from being granted by this pod, until it
// is set again: as [WithReserve], but for a while. The more of the two counts. A
// queue that waits for the floor to fall notices within some seconds.
func (q *RedisQueue) SetFloor(units int) { q.config.floor.Store(int64(max(units, 0))) }

var errLeft = errors.New("redisqueue: the caller has left the line once it knew its place")
