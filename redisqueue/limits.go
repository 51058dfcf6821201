package redisqueue

import (
	"context"
	"errors"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// sourceTimeout bounds one call of the limit source.
const sourceTimeout = 10 * time.Second

// lookTimeout bounds how long Redis is asked what the source has said to others.
const lookTimeout = 2 * time.Second

var errNoLook = errors.New("redisqueue: Redis does not answer")

// busyWait is how long a pod waits while another asks its limit source.
const busyWait = 100 * time.Millisecond

// sourceWait is how long a pod waits that must not ask its limit source for now:
// another may have got an answer.
const sourceWait = time.Second

// meet agrees with Redis on limits and state, seeding them if they are missing.
// It returns a positive time after which to try again if that is not due to
// Redis. It runs in the keeper, so one at a time.
func (q *RedisQueue) meet() (time.Duration, error) {
	q.mu.Lock()
	known := q.view
	q.mu.Unlock()

	var limit *report
	if q.config.source == nil {
		limit = &report{SessionStartLimit: q.guess(known)}
	}
	r, err := q.store.sync(q.ctx, false, known, q.longestHold(), 0, limit, q.asks())
	if code := r.code; err == nil && (code == "ask" || code == "over") {
		if limit, err = q.ask(q.ctx, r.now); err != nil {
			q.config.observe(gatewayqueue.Event{Kind: gatewayqueue.EventStoreError, Err: err})
			return sourceWait, nil //nolint:nilerr // it is not due to Redis, and has been reported
		}
		r, err = q.store.sync(q.ctx, code == "over", known, q.longestHold(), known.maxConcurrency, limit, false)
		if err == nil && r.code == "buckets" {
			r, err = q.store.sync(q.ctx, true, known, q.longestHold(), r.view.maxConcurrency, limit, false)
		}
	}
	q.heard(nil, err)
	switch {
	case err != nil && classify(err) == returned:
		q.refuseAll(explain(err, q.store.keys))
		return 0, err
	case err != nil:
		return 0, err
	case r.code == "busy" && !q.config.mayAsk():
		return sourceWait, nil
	case r.notYet():
		return busyWait, nil
	}
	if mine := q.config.limit.MaxConcurrency; q.config.limitGiven && q.config.source == nil &&
		known.maxConcurrency == 0 && r.view.maxConcurrency != mine {
		q.refuseAll(q.mismatch(r.view.maxConcurrency))
		return busyWait, nil
	}
	q.met(r.server, r.closed)
	q.logMeeting(known, r)
	q.holdAtMeeting(known, r)
	q.adopt(r)
	return 0, nil
}

func (q *RedisQueue) logMeeting(known view, r syncReply) {
	log := q.config.log.With("remaining", r.view.remaining, "total", r.view.total, "max_concurrency", r.view.maxConcurrency)
	switch {
	case known.epoch != "" && known.epoch != r.view.epoch:
		log.Warn("Redis had lost state: every bucket stays closed for a while", "closed", r.closed)
		q.config.observe(gatewayqueue.Event{Kind: gatewayqueue.EventStateLost})
	case r.code != "seeded":
		log.Debug("joined the queue")
	case q.config.freshStart:
		log.Info("started a new queue")
	case q.config.source == nil:
		log.Warn("started a queue: Redis had none, or has lost it; every bucket stays closed for a while, because what was spent of the budget, and who identified just now, cannot be known",
			"closed", r.closed)
	default:
		log.Info("started a queue: Redis had none, or has lost it; every bucket stays closed for a while, because who identified just now cannot be known", "closed", r.closed)
	}
}

// holdAtMeeting tells of the hold that this pod meets; the log has had a line about
// one that it has caused.
func (q *RedisQueue) holdAtMeeting(known view, r syncReply) {
	why, said := whyJoined, r.code == "seeded"
	switch {
	case known.epoch != "" && known.epoch != r.view.epoch:
		why, said = whyLost, true
	case said:
		why = whyEmpty
	}
	q.holds(r.closed, why)
	switch {
	case r.closed <= 0:
	case said:
		q.blockSaid(string(gatewayqueue.ReasonHold), holdBlocks(r.closed, why), func() {}) // the log has it
	default:
		q.block(holdBlocks(r.closed, why))
	}
}

// asks says if the limit source can be asked at a reset, before anything is
// granted of the new period. While it fails, nobody waits for it; that it has
// failed some time ago, and others may have asked it since, is no reason not to.
func (q *RedisQueue) asks() bool { return q.config.mayAsk() }

// guess is what to seed with where there is no source: the limits last in
// force, or those given, as they must be by now.
func (q *RedisQueue) guess(known view) gatewayqueue.SessionStartLimit {
	if known.maxConcurrency > 0 { // what remains is remembered beside them
		return gatewayqueue.SessionStartLimit{Total: known.total, Remaining: known.total, MaxConcurrency: known.maxConcurrency}
	}
	l := q.config.limit
	if l.ResetAfter -= time.Since(q.config.limitAt); l.ResetAfter <= 0 {
		l.ResetAfter = 0
		if q.config.limit.ResetAfter > 0 {
			l.Remaining = l.Total
		}
	}
	return l
}

// ask calls the limit source; now is a moment before, on Redis's clock. Where that
// fails, Redis keeps why, and until when no pod may ask. The log says so at first
// and then hourly, and once that it answers again.
func (q *RedisQueue) ask(caller context.Context, now int64) (*report, error) {
	ctx, cancel := context.WithTimeout(caller, sourceTimeout)
	defer cancel()
	limit, err := q.config.source(ctx)
	if err == nil {
		err = validateLimit(limit)
	}
	if err != nil && caller.Err() != nil {
		return nil, err // it is the caller, or this queue, that ends
	}
	q.health.sourceAnswered(err)
	if err == nil {
		if q.config.pace.Answered() {
			q.config.log.Info("the limit source answers again")
		}
		return &report{limit, now}, nil
	}
	wait, tell := q.config.pace.Failed(err)
	blocked := sourceBlocks(err, wait)
	if tell && q.maySay("source fails") {
		q.config.log.Warn("the limit source failed: limits in force stay, and where there are none nothing is granted until it answers",
			"error", err, "again_in", wait.Round(time.Second), "cure", blocked.Cure)
	}
	q.mu.Lock()
	unmet := q.view.maxConcurrency == 0
	q.mu.Unlock()
	if unmet {
		q.blockSaid(string(gatewayqueue.ReasonSource), blocked, func() {}) // the log has it
	}
	if !failureOf(err).all {
		wait = 0
	}
	if err := q.store.postpone(q.ctx, wait, err.Error()); err != nil {
		q.config.log.Debug("could not note in Redis that the limit source failed", "error", err) // this pod keeps to it
	}
	return nil, err
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
	_, err := q.ask(ctx, now.status.Time.UnixMilli())
	return err
}

// refresh brings Discord's figures into the queue; now is on Redis's clock.
func (q *RedisQueue) refresh(now int64) {
	limit, err := q.ask(q.ctx, now)
	if err != nil {
		return // the log has it
	}
	err = q.update(q.ctx, limit)
	if err != nil && q.ctx.Err() == nil {
		q.config.log.Warn("could not refresh the limits: those in force stay", "error", err)
	}
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
	if err := validateLimit(limit); err != nil {
		return err
	}
	q.mu.Lock()
	closed := q.closed
	q.mu.Unlock()
	if closed {
		return gatewayqueue.ErrClosed
	}
	return q.update(ctx, &report{SessionStartLimit: limit})
}

func (q *RedisQueue) update(ctx context.Context, limit *report) error {
	q.mu.Lock()
	known := q.view
	q.mu.Unlock()
	buckets := known.maxConcurrency
	for n := 1; ; {
		r, err := q.store.sync(ctx, true, known, q.longestHold(), buckets, limit, false)
		q.heard(nil, err)
		switch {
		case err == nil && r.code == "buckets":
			buckets = r.view.maxConcurrency
			continue
		case err == nil && r.notYet():
			return nil // they are asked for again
		case err == nil:
			q.met(r.server, r.closed)
			q.holds(r.closed, whyLimits)
			q.config.log.Info("new limits", "remaining", r.view.remaining, "total", r.view.total, "max_concurrency", r.view.maxConcurrency)
			q.adopt(r)
			return nil
		case classify(err) == returned:
			return explain(err, q.store.keys)
		}
		timer := time.NewTimer(retryIn(err, n))
		select {
		case <-timer.C:
			n++
		case <-ctx.Done():
			timer.Stop()
			return ctxerr.Ended(ctx, err)
		case <-q.ctx.Done():
			timer.Stop()
			return errors.Join(gatewayqueue.ErrClosed, err)
		}
	}
}

// adopt takes the limits and state in force, and puts the waiters where they
// belong under them. They take their places together, by a beat; but not where
// state was lost: the first claim then brings its script along at once, so that
// what that costs is over when the buckets open.
func (q *RedisQueue) adopt(r syncReply) {
	v := r.view
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	old := q.view
	q.ready = true
	if old.epoch == v.epoch && v.seq < old.seq {
		v = old // overtaken by a later reply
	}
	q.view = v
	q.sayIfNothingIsEverGranted()
	if old.epoch != v.epoch || old.maxConcurrency != v.maxConcurrency {
		all := q.lobby
		q.lobby, q.arriving = nil, r.code != "seeded" || q.config.freshStart && old.epoch == ""
		// An update deletes the old lines. Lost state leaves them there, with
		// tickets that their pods would ask for in other lines from now on.
		stale := old.epoch != v.epoch && old.maxConcurrency != v.maxConcurrency
		for _, l := range q.lines {
			for _, w := range l.waiters {
				if stale && w.tried && !w.claiming {
					l.leaving = append(l.leaving, w.ticket)
					w.ticket, w.tried = q.newTicket(w.shard, endOf(w.ticket)), false
				}
			}
			all = append(all, l.waiters...)
			l.waiters = nil
		}
		for _, w := range all {
			q.lineOf(w.shard % v.maxConcurrency).add(w)
		}
	}
	for _, l := range q.lines {
		l.askNow()
	}
	q.look()
}

// sayIfNothingIsEverGranted logs once that the limits in force leave no unit to
// anybody. The caller holds mu.
func (q *RedisQueue) sayIfNothingIsEverGranted() {
	never := q.config.grantsEver(q.view)
	if never != nil && !q.never {
		q.config.log.Error("nothing is ever granted under these limits: callers wait until they change", "error", never)
		b := &gatewayqueue.BlockedError{Reason: gatewayqueue.ReasonLimits, Text: textNever(never), Cure: cureLimits}
		q.run(func() { q.blockSaid(string(gatewayqueue.ReasonLimits), b, func() {}) }) // the observer is told once mu is free
	}
	q.never = never != nil
}

// refuseAll refuses everyone who waits or rests.
func (q *RedisQueue) refuseAll(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range q.lobby {
		w.refuse(err)
	}
	q.lobby = nil
	for w := range q.resting {
		w.rest.Stop()
		w.refuse(err)
	}
	clear(q.resting)
	for _, l := range q.lines {
		l.refuseAll(err)
	}
}
