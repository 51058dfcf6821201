package redisqueue

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// RedisQueue is one pod's part of a queue that lives in Redis. It implements
// [gatewayqueue.PermitQueue]. Its methods may be called from any number of
// goroutines.
type RedisQueue struct {
	config config
	store  *store
	health health
	known  acquaintance
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	work   sync.WaitGroup // goroutines of the queue
	poke   chan struct{}  // wakes the keeper

	renewSoon chan struct{} // wakes the renewer

	tickets atomic.Uint64
	told    told // why nothing is granted

	mu        sync.Mutex // never held across a call to Redis
	closed    bool
	view      view
	ready     bool          // view is Redis's, as far as is known
	keeping   bool          // the keeper runs
	renewing  bool          // the renewer runs
	arriving  bool          // it tells of newcomers: the lines are silent
	beaten    time.Time     // when the last beat was sent; zero if one is due
	lapse     time.Time     // when the lease of a pod ends that stands before this one; zero for none
	leased    time.Duration // the lease that the pod gave itself last
	farthest  int           // the bucket of the far line that was looked at last
	died      int           // when the lease of a pod has ended last, as last heard: ms on Redis's clock
	held      int           // the same: when the last hold of a pod ends
	surprised bool          // a line was much shorter than expected: the next beat looks at all
	lines     map[int]*line
	claims    pace // of grants
	announces pace
	lobby     []*waiter            // those who came before the first contact
	resting   map[*waiter]struct{} // those whose shard identifies too often
	permits   map[*permit]struct{}
	hold      closed // of every bucket, as last heard
	paused    pauseState
	askedWhy  time.Time // when the keeper looked last why nobody is granted
	grantedAt time.Time // when somebody of this pod was granted last
	warned    int       // the budget warning given last, in percent
	never     bool      // the limits in force allow no grant at all, and the log has said so
}

var (
	_ gatewayqueue.PermitQueue = (*RedisQueue)(nil)
	_ gatewayqueue.Statuser    = (*RedisQueue)(nil)
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
	if err := checkClient(client, config.replicas); err != nil {
		return nil, err
	}
	if err := config.validate(); err != nil {
		return nil, err
	}
	config.log = config.log.With("app", config.app, "pod", config.pod)
	ctx, cancel := context.WithCancel(context.Background())
	q := &RedisQueue{
		config: config,
		ctx:    ctx,
		cancel: cancel,
		poke:   make(chan struct{}, 1),

		renewSoon: make(chan struct{}, 1),

		lines:   make(map[int]*line),
		resting: make(map[*waiter]struct{}),
		permits: make(map[*permit]struct{}),
		warned:  100,
	}
	q.store = newStore(client, &q.config)
	q.health = health{queue: q}
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

func (q *RedisQueue) acquire(ctx context.Context, shardID int, permit bool, visit gatewayqueue.Visit) (*waiter, error) {
	if err := gatewayqueue.CheckShard(shardID); err != nil {
		return nil, err
	}
	if err := checkVisit(visit); err != nil {
		return nil, err
	}
	if err := ctxerr.Ended(ctx); err != nil {
		return nil, err
	}
	w := &waiter{
		shard: shardID, ticket: q.newTicket(shardID, ticketWait(visit)),
		since: time.Now(), wantsPermit: permit, done: make(chan struct{}),
	}
	placed := w.take(visit)
	w.deadline, _ = ctx.Deadline()
	if err := q.enter(w); err != nil {
		return nil, err
	}
	q.config.observe(gatewayqueue.Event{Kind: gatewayqueue.EventWaiting, ShardID: shardID})
	for {
		select {
		case <-w.done:
		case <-placed:
			placed = nil
			if err := q.tellPlace(w, visit); err != nil {
				return nil, err
			}
			continue
		case <-ctx.Done():
			if err := q.leave(w, func(blocked error) error { return ctxerr.Ended(ctx, blocked) }); err != nil {
				return nil, err
			}
			<-w.done // it had already been refused
		}
		if w.err != nil {
			q.observeLeft(w, w.err)
			return nil, w.err
		}
		if ctx.Err() != nil { // in the instant of the grant
			return nil, q.leave(w, func(error) error { return ctxerr.Ended(ctx, q.health.last()) })
		}
		if q.accept(w) {
			q.config.observe(gatewayqueue.Event{
				Kind: gatewayqueue.EventGranted, ShardID: shardID, Bucket: w.bucket, Elapsed: time.Since(w.since),
			})
			return w, nil
		}
	}
}

// enter gives the waiter its place in a line, or in the lobby while the number
// of buckets is not known.
func (q *RedisQueue) enter(w *waiter) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return gatewayqueue.ErrClosed
	}
	if q.view.maxConcurrency == 0 {
		q.lobby = append(q.lobby, w)
	} else {
		q.lineOf(w.shard % q.view.maxConcurrency).add(w)
	}
	q.keep()
	return nil
}

// leave takes a waiter out that waits no longer, wherever it is. A grant it did
// not use goes back. It returns what why makes of the reason why it has waited, or nil if the waiter was refused meanwhile.
func (q *RedisQueue) leave(w *waiter, why func(blocked error) error) error {
	q.mu.Lock()
	state := w.state
	var blocked error
	if b := q.why(w); b != nil && state == waiting {
		blocked = b
	}
	switch state {
	case refused:
		q.mu.Unlock()
		return nil
	case waiting:
		q.drop(w)
	case granted:
		q.giveBack(w)
	}
	w.state = refused
	q.mu.Unlock()
	err := why(blocked)
	q.observeLeft(w, err)
	return err
}

// accept says if a grant is still fresh. One whose reply, or whose waiter, took
// longer than the margin, less what of it is the caller's, is claimed again: the
// same ticket, already paid, with a window that is longer by as much as Redis is
// slow. So also a grant without any margin is taken in the end.
func (q *RedisQueue) accept(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	took := w.sent.Since()
	q.claims.took(took)
	switch {
	case w.wantsPermit && took < q.config.permitGood()/2:
		w.permit = q.newPermit(w)
		return true
	case !w.wantsPermit && !q.late(w, took):
		return true
	}
	if q.closed {
		q.giveBack(w)
		w.state, w.err = refused, gatewayqueue.ErrClosed
		return false
	}
	w.patience = min(took+took/2+q.config.marginLeft, q.config.longestMargin())
	w.state, w.done = waiting, make(chan struct{})
	if q.view.maxConcurrency > 0 {
		q.lineOf(w.shard % q.view.maxConcurrency).add(w)
	}
	q.keep()
	return false
}

func (q *RedisQueue) observeLeft(w *waiter, err error) {
	q.config.observe(gatewayqueue.Event{
		Kind: gatewayqueue.EventLeft, ShardID: w.shard, Bucket: w.bucket, Elapsed: time.Since(w.since), Err: err,
	})
}

// closeTimeout bounds how long Close waits for Redis.
const closeTimeout = 2 * time.Second

// Close ends all waits with [gatewayqueue.ErrClosed], gives up their places and
// stops renewing permits; those already handed out can still be Identified or
// Abandoned. It blocks until the pod has left Redis, 2 s at the most: what it
// could not give up lapses with the pod's lease. It may be called again.
func (q *RedisQueue) Close() error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return nil
	}
	q.closed = true
	met := q.view.maxConcurrency > 0
	left := make(map[int][]string)
	for _, w := range q.lobby {
		w.refuse(gatewayqueue.ErrClosed)
	}
	for w := range q.resting {
		w.rest.Stop()
		w.refuse(gatewayqueue.ErrClosed)
	}
	clear(q.resting)
	for bucket, l := range q.lines {
		left[bucket] = l.close()
	}
	clear(q.permits)
	q.mu.Unlock()
	q.cancel()

	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	stopped := make(chan struct{})
	go func() {
		q.work.Wait()
		q.mu.Lock()
		for bucket, l := range q.lines { // what was being given up when the queue closed
			left[bucket] = append(left[bucket], l.leaving...)
		}
		q.mu.Unlock()
		if met {
			q.depart(ctx, left)
		}
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-ctx.Done():
	}
	return nil
}

// departAtATime is how many calls a pod that closes makes at a time: it may have
// places in hundreds of lines, and Redis may be some way off.
const departAtATime = 16

// depart gives up the lease of a pod that closes: from then on nobody waits for
// its places. Then it gives these up.
func (q *RedisQueue) depart(ctx context.Context, left map[int][]string) {
	if err := q.giveUp(ctx, 0, q.config.pod); err != nil {
		q.config.log.Warn("could not end the pod's lease: it lapses by itself, and its places with it", "error", err)
		return
	}
	var work sync.WaitGroup
	var once sync.Once
	room := make(chan struct{}, departAtATime)
	for bucket, tickets := range left {
		for len(tickets) > 0 && ctx.Err() == nil {
			some := tickets[:min(len(tickets), leaveBatch)]
			tickets = tickets[len(some):]
			room <- struct{}{}
			work.Go(func() {
				defer func() { <-room }()
				if err := q.giveUp(ctx, bucket, "", some...); err != nil {
					once.Do(func() {
						q.config.log.Warn("could not give up places: they are passed over", "error", err)
					})
				}
			})
		}
	}
	work.Wait()
}

// giveUp gives up tickets, trying until ctx ends.
func (q *RedisQueue) giveUp(ctx context.Context, bucket int, pod string, tickets ...string) error {
	for n := 1; ; n++ {
		err := q.store.abandon(ctx, bucket, pod, tickets...)
		if err == nil || classify(err) == returned {
			return err
		}
		if ctxerr.Sleep(ctx, retryIn(err, n)) != nil {
			return err
		}
	}
}

// run starts a goroutine of the queue. The caller holds mu, and has seen that
// the queue is not closed.
func (q *RedisQueue) run(f func()) { q.work.Go(f) }

// pause waits for d or until wake, and says false once the queue is closed.
func (q *RedisQueue) pause(d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-q.ctx.Done():
		return false
	}
	return true
}

// retryIn counts a failure of n in a row and says when to try again.
func retryIn(err error, n int) time.Duration { return backoff(classify(err), n, rand.Float64()) }
