// Package memqueue is the queue of one process: a [gatewayqueue.PermitQueue] in memory.
//
//	queue, err := memqueue.New(gatewayqueue.DefaultLimit())
//
// Its rules are those of package redisqueue, for bots of several processes, but for what
// only a store that is shared needs: docs/design.md.
package memqueue

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// Queue is the queue of one process: a [gatewayqueue.PermitQueue], a
// [gatewayqueue.StatusReader] and a [gatewayqueue.Pauser].
// It forgets everything when the process ends, so the next process must stay
// silent for one window, or share a queue with this one (package redisqueue).
//
// Each bucket serves its line first come, first served, on a clock of its own.
// Those who leave cost nothing. Every operation takes the same time however
// many wait, except for Update, Status, Close, and a shard that arrives in the
// same instant of the clock as many higher ones.
//
// It runs no goroutine, and no timer unless someone waits.
type Queue struct {
	window       time.Duration
	margin       time.Duration
	permitMargin time.Duration
	hold         time.Duration // of every bucket, from the start
	observer     func(gatewayqueue.Event)
	log          *slog.Logger

	mu             sync.Mutex
	closed         bool
	maxConcurrency int
	buckets        map[int]*bucket // of the mapping in force, made when first used
	before         past            // what is left of earlier mappings
	budget         budget
	reset          alarm // set while someone waits for the budget
	waiting        int   // tickets in all lines
	hasty          line  // those whose deadline was not compared with the budget's reset yet
	tickets        int64 // numbers them
	grants         int64
	events         []gatewayqueue.Event              // to be told after unlocking
	telling        bool                              // somebody does
	told           gatewayqueue.Event                // the last EventBudget
	said           map[gatewayqueue.Reason]time.Time // when it was told last why nothing is granted
	halt           halt                              // what operators have ordered
	visits         map[string]paidVisit
	swept          time.Time // when those of long ago were forgotten
	past           *past24   // nil without WithHistory
}

// New returns a queue with a limit as Discord reports it; without
// Discord's figures, [gatewayqueue.DefaultLimit] is right for most bots. It returns an
// [gatewayqueue.InvalidError] for a limit that is not valid or a negative duration.
//
// ResetAfter counts from now. While Remaining is Total it is ignored: the
// period then begins with the first identify (for Wait, the grant) and lasts
// [gatewayqueue.LimitPeriod]. MaxConcurrency 0 is no limit that Discord has: it is a figure
// that is missing, and refused. [NewUnlimited] is for no limit at all.
func New(limit gatewayqueue.SessionStartLimit, opts ...Option) (*Queue, error) {
	if err := validateFigures(limit); err != nil {
		return nil, err
	}
	return newQueue(limit, opts)
}

// NewUnlimited returns a queue that grants to every caller at once and counts
// nothing: for tests of a bot, or where something else keeps the limit. Update
// may put a limit in force later. It returns an [gatewayqueue.InvalidError] for a negative
// duration.
func NewUnlimited(opts ...Option) (*Queue, error) {
	return newQueue(gatewayqueue.SessionStartLimit{}, opts)
}

func newQueue(limit gatewayqueue.SessionStartLimit, opts []Option) (*Queue, error) {
	q := &Queue{window: gatewayqueue.IdentifyDelay, margin: gatewayqueue.GrantMargin, permitMargin: gatewayqueue.IdentifiedMargin}
	for _, opt := range opts {
		opt(q)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"window", q.window}, {"margin", q.margin}, {"permit margin", q.permitMargin}, {"hold", q.hold}} {
		if d.value < 0 {
			return nil, &gatewayqueue.InvalidError{Field: d.name, Value: d.value, Want: "0 or more"}
		}
	}
	if q.log == nil {
		q.log = slog.Default()
	}
	now := time.Now()
	q.before.permits = make(map[*ticket]struct{})
	if q.hold > 0 {
		q.before.hold = now.Add(q.hold)
	}
	q.budget.margin = q.margin
	q.budget.begin(limit, now)
	q.rebucket(limit.MaxConcurrency)
	q.told = q.budget.event()
	if q.past != nil {
		q.past.remember(q)
	}
	return q, nil
}

// validateFigures refuses what Discord cannot have said.
func validateFigures(limit gatewayqueue.SessionStartLimit) error {
	if limit.MaxConcurrency == 0 {
		return &gatewayqueue.InvalidError{Field: "max_concurrency", Value: 0, Want: fmt.Sprintf("1 to %d; NewUnlimited is for no limit", gatewayqueue.MaxBuckets)}
	}
	return limit.Validate()
}

// Wait implements [gatewayqueue.Queue].
func (q *Queue) Wait(ctx context.Context, shardID int) error {
	return q.wait(ctx, &ticket{queue: q, shard: shardID})
}

// Acquire implements [gatewayqueue.PermitQueue]. The permit's lease is [gatewayqueue.MaxPermitDuration], and is
// not renewed: nothing is gained by that within one process. Its methods never
// block and never fail.
func (q *Queue) Acquire(ctx context.Context, shardID int) (gatewayqueue.Permit, error) {
	t := &ticket{queue: q, shard: shardID, permit: true}
	if err := q.wait(ctx, t); err != nil {
		return nil, err
	}
	return t, nil
}

func (q *Queue) wait(ctx context.Context, t *ticket) error {
	if err := gatewayqueue.CheckShard(t.shard); err != nil {
		return err
	}
	if err := ctxerr.Ended(ctx); err != nil {
		return err
	}
	t.deadline, _ = ctx.Deadline()
	now := q.lock()
	err := q.enter(t, now)
	ready, bucket := t.ready, t.bucketID()
	q.unlock()
	if err != nil {
		return err
	}
	q.tellOf(t, gatewayqueue.EventWaiting, bucket)
	if ready != nil {
		if t.placed != nil && !t.placed(t.arrival) {
			var leave context.CancelCauseFunc
			ctx, leave = context.WithCancelCause(ctx)
			leave(errLeft)
		}
		select {
		case <-ready:
		case <-ctx.Done():
			q.leave(t, ctx)
		}
	}
	if t.err != nil {
		q.tellOf(t, gatewayqueue.EventLeft, t.bucketID())
		return t.err
	}
	q.tellOf(t, gatewayqueue.EventGranted, t.bucketID())
	return nil
}

// Update puts a limit in force, as Discord reports it now, which those who wait
// for the budget hear at once. What is left then is Discord's remaining less the
// permits that are out, of which Discord has not heard. Figures without a reset,
// and full ones that end when ours do, may only lower what is left, but raise it
// by as much as the total has risen. [Queue.Refresh] is for figures that
// take a while to come.
//
// A changed MaxConcurrency sorts those who wait into the new buckets, in the
// order of their arrival. No new bucket opens before the windows and permits of
// the old ones have ended.
//
// It returns an [gatewayqueue.InvalidError], [gatewayqueue.ErrClosed], or why ctx has ended; nothing has
// changed then. It does not block.
func (q *Queue) Update(ctx context.Context, limit gatewayqueue.SessionStartLimit) error {
	if err := ctxerr.Ended(ctx); err != nil {
		return err
	}
	_, err := q.update(limit, nil)
	return err
}

// Refresh asks for the limit, and puts the answer in force as one of the moment
// when it was asked for: what is granted while the answer is on its way is not
// in it. Within the period it may only lower what is left, but raises it by as
// much as the total has risen; a report of another period replaces ours.
// Otherwise it is as Update. It blocks as long as ask does, and asks
// again if a period has begun meanwhile, so that the answer may be of the one
// before. It returns ask's error, or what Update returns.
func (q *Queue) Refresh(ctx context.Context, ask func(context.Context) (gatewayqueue.SessionStartLimit, error)) error {
	for {
		if err := ctxerr.Ended(ctx); err != nil {
			return err
		}
		now := q.lock()
		asked := q.budget.asking(now)
		q.unlock()
		limit, err := ask(ctx)
		if err != nil {
			return err
		}
		if taken, err := q.update(limit, &asked); taken || err != nil {
			return err
		}
	}
}

// update puts a limit in force, asked for then, or now. It returns false if it
// was asked for in another period.
func (q *Queue) update(limit gatewayqueue.SessionStartLimit, then *asked) (taken bool, err error) {
	if err := validateFigures(limit); err != nil {
		return false, err
	}
	now := q.lock()
	defer q.unlock()
	if q.closed {
		return false, gatewayqueue.ErrClosed
	}
	q.lapse(now)
	if then == nil {
		now := q.budget.byHand(now)
		then = &now
	}
	if !q.budget.update(limit, *then, now) {
		return false, nil
	}
	q.reset.stop()
	if limit.MaxConcurrency != q.maxConcurrency {
		q.rebucket(limit.MaxConcurrency)
	}
	q.doubt()
	q.serveAll(now)
	q.checkDeadlines(now)
	return true, nil
}

// Close ends all waits with [gatewayqueue.ErrClosed] and refuses what comes later. Permits
// that are out may still be reported, which changes nothing. It never fails.
func (q *Queue) Close() error {
	q.lock()
	defer q.unlock()
	q.closed = true
	for _, b := range q.buckets {
		for t := b.line.first(); t != nil; t = b.line.first() {
			q.refuse(t, gatewayqueue.ErrClosed)
		}
	}
	return nil
}
