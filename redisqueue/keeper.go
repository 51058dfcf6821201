package redisqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Bounds on what is in one beat, and so on the length of its script.
const (
	beatBatch   = 16 // lines
	arriveBatch = 32 // tickets that take their places
)

// A beat is about the lines in which a pod's turn may come soon, and about a few
// of the others in turn: of large fleets most are far back in most lines, for
// minutes.
const (
	nearby  = 8 // windows until then
	farEach = 4 // lines, in each beat
)

// keep starts the keeper, the one goroutine that does what a pod does whatever
// its buckets: it meets the queue, renews the pod's lease, and refreshes the
// limits. It runs while the pod has waiters or permits. The caller holds mu.
func (q *RedisQueue) keep() {
	if q.keeping || q.closed {
		return
	}
	q.keeping = true
	q.beaten, q.lapse = time.Now(), time.Time{} // the first claim gives the pod its lease
	q.leased = q.config.podLease
	q.run(q.keeper)
}

func (q *RedisQueue) keeper() {
	failures := 0
	for {
		q.mu.Lock()
		idle, ready, arriving := q.idle(), q.ready, q.arriving
		if idle || q.closed {
			q.keeping = false
			q.mu.Unlock()
			return
		}
		q.mu.Unlock()
		wait := maxSleep
		switch {
		case !ready:
			retry, err := q.meet()
			if err != nil && retry == 0 {
				failures++
				retry = retryIn(err, failures)
			}
			if retry == 0 {
				failures = 0
				continue
			}
			wait = retry
		case arriving:
			q.arrive()
		}
		if q.pause(min(wait, q.untilBeat()), q.poke) {
			q.beatIfDue()
			q.tellWhy()
		}
	}
}

func (q *RedisQueue) untilBeat() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return time.Until(q.beatDue())
}

// beatDue is when the next beat is: at half of the pod's lease, and when the
// lease of a pod ends that stands before this one. The caller holds mu.
func (q *RedisQueue) beatDue() time.Time {
	due := q.beaten.Add(min(q.lease(), q.leased) / 2)
	switch {
	case !q.ready: // the first is when Redis has been met
		return time.Now().Add(maxSleep)
	case !q.lapse.IsZero() && q.lapse.Before(due):
		return q.lapse
	}
	return due
}

func (q *RedisQueue) beatIfDue() {
	q.mu.Lock()
	due := !time.Now().Before(q.beatDue())
	q.mu.Unlock()
	if !due {
		return
	}
	lapse := q.beatAll()
	q.mu.Lock()
	defer q.mu.Unlock()
	if lapse >= 0 {
		q.lapse = time.Now().Add(lapse + time.Millisecond)
	}
}

// idle says that nobody waits, or rests, and no permit is out. The caller holds mu.
func (q *RedisQueue) idle() bool {
	for _, l := range q.lines {
		if len(l.waiters) > 0 {
			return false
		}
	}
	return len(q.lobby) == 0 && len(q.permits) == 0 && len(q.resting) == 0
}

// exhaustedLeases is how many times longer a pod's lease is while the budget is
// exhausted, or all who wait rest: that may be for a day, and nobody can get ahead
// of it.
const exhaustedLeases = 10

// lease is the pod's lease by now. The caller holds mu.
func (q *RedisQueue) lease() time.Duration {
	if len(q.permits) > 0 || len(q.lines)+len(q.resting) == 0 {
		return q.config.podLease
	}
	for _, l := range q.lines {
		if !l.exhausted {
			return q.config.podLease
		}
	}
	return exhaustedLeases * q.config.podLease
}

// beatAll renews the pod's lease, and hears how lines stand. It returns when the
// first lease of a pod ends that stands before this one, or -1.
func (q *RedisQueue) beatAll() time.Duration {
	lines, all := q.lookedAt()
	lapse := time.Duration(-1)
	for first := true; first || len(lines) > 0; first = false {
		some := lines[:min(len(lines), beatBatch)]
		r, ok := q.beat(some, all)
		if !ok {
			return -1
		}
		if !r.more { // else once more at once: what stands before this pod holds it up for nothing
			lines = lines[len(some):]
		}
		if r.lapse >= 0 && (lapse < 0 || r.lapse < lapse) {
			lapse = r.lapse
		}
	}
	return lapse
}

// lookedAt are the lines that the next beat is about, which is now sent. Once one
// of them has turned out to be much shorter than expected, because a pod has
// closed, or a lease has ended anywhere, it is about all.
func (q *RedisQueue) lookedAt() (lines []beatLine, all bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var far []beatLine
	for _, l := range q.lines {
		switch {
		case len(l.waiters) == 0 || !l.waiters[0].told:
		case q.surprised || time.Until(l.ask) <= nearby*q.config.step(l.waiters[0].wantsPermit):
			lines = append(lines, beatLine{bucket: l.bucket, first: l.waiters[0].ticket})
		default:
			far = append(far, beatLine{bucket: l.bucket, first: l.waiters[0].ticket})
		}
	}
	slices.SortFunc(far, func(a, b beatLine) int { return a.bucket - b.bucket })
	next := max(0, slices.IndexFunc(far, func(l beatLine) bool { return l.bucket > q.farthest }))
	for i := range min(farEach, len(far)) {
		lines = append(lines, far[(next+i)%len(far)])
		q.farthest = lines[len(lines)-1].bucket
	}
	q.beaten, q.lapse, q.surprised = time.Now(), time.Time{}, false
	return lines, len(far) <= farEach
}

// beat sends one beat; all says that it is one of those that are about all lines.
// It returns false if nothing more can be said before Redis has been met.
func (q *RedisQueue) beat(lines []beatLine, all bool) (r beatReply, ok bool) {
	q.mu.Lock()
	known, ready, lease := q.view, q.ready, q.lease()
	q.leased = lease
	q.mu.Unlock()
	if !ready {
		return r, false
	}
	r, err := q.store.beat(q.ctx, known, lease, lines)
	var events []gatewayqueue.Event
	defer func() { q.heard(events, err) }()
	if err != nil {
		q.misused(lines, all, err)
		return r, false
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	events = q.hearPause(r)
	if r.code == "resync" {
		q.unready(known)
		return r, false
	}
	if r.left >= 0 { // it may be all that is known of it, should Redis forget
		events = append(events, q.remember(known, r.seq, r.left, r.reset)...)
	}
	units := r.ended() > 0 || r.left > q.config.reserveOf(known)
	for i, s := range r.lines {
		l := q.lines[lines[i].bucket]
		if l == nil || q.view.epoch != known.epoch || q.view.maxConcurrency != known.maxConcurrency {
			continue // of a state, or of limits, that are no more
		}
		if l.beaten(lines[i], s, r.now, units) && !all && !q.surprised {
			q.surprised = true
			q.beatSoon()
		}
	}
	if units {
		q.unitsCame(r.ended())
	}
	if r.refresh && !q.closed {
		q.run(func() { q.refresh(r.now) })
	}
	if r.died > q.died || r.held > q.held {
		q.died, q.held = max(r.died, q.died), max(r.held, q.held)
		if !all && !q.surprised {
			q.surprised = true
			q.beatSoon()
		}
	}
	return r, true
}

// misused returns an error of a beat to callers whom waiting does not help, also
// those who sleep until the reset, rest, or stand far back. A key of another type
// may be that of one line alone: then each line is asked about by itself, and
// the others wait on.
func (q *RedisQueue) misused(lines []beatLine, all bool, err error) {
	switch {
	case classify(err) != returned:
	case len(lines) == 0 || !strings.Contains(err.Error(), "WRONGTYPE"):
		q.refuseAll(explain(err, q.store.keys))
	case len(lines) == 1:
		q.mu.Lock()
		defer q.mu.Unlock()
		if l := q.lines[lines[0].bucket]; l != nil {
			l.refuseAll(explain(err, q.store.keys))
		}
	default:
		for _, l := range lines {
			if _, ok := q.beat([]beatLine{l}, all); !ok && q.ctx.Err() != nil {
				return
			}
		}
	}
}

// arrive gives all who wait their places, many lines in a call: when a fleet
// starts they are many. The lines are silent meanwhile; whom it could not tell
// of, they tell of themselves.
func (q *RedisQueue) arrive() {
	for {
		lines, told := q.newcomers()
		if len(lines) < 2 {
			break
		}
		_, ok := q.beat(lines, false)
		q.leaveAgain(told)
		if !ok {
			break
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.arriving = false
	// Where a fleet arrives, how the lines stand is soon not so any more: the next
	// beat tells before the buckets open again, also where a window is short.
	if beaten := time.Now().Add((q.config.window - q.lease()) / 2); beaten.Before(q.beaten) {
		q.beaten = beaten
	}
	for _, l := range q.lines {
		l.poke()
	}
}

// leaveAgain gives up the places of those who have left while a beat was on its
// way with them: it may have come to Redis after the call that gave them up.
func (q *RedisQueue) leaveAgain(told []*waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, w := range told {
		if w.state == refused && q.view.maxConcurrency > 0 {
			l := q.lineOf(w.shard % q.view.maxConcurrency)
			l.leaving = append(l.leaving, w.ticket)
			l.poke()
		}
	}
}

// newcomers are lines with waiters that Redis does not know, as many as fit into
// a beat, and these waiters.
func (q *RedisQueue) newcomers() (lines []beatLine, told []*waiter) {
	q.mu.Lock()
	defer q.mu.Unlock()
	room := arriveBatch
	for _, l := range q.lines {
		line := beatLine{bucket: l.bucket}
		for _, w := range l.waiters {
			if len(line.places) < room && !w.told && !w.claiming {
				line.places = append(line.places, place{w.ticket, w.arrival})
				told = append(told, w)
				w.tried = true
			}
		}
		if len(line.places) == 0 {
			continue
		}
		line.first = l.waiters[0].ticket
		lines = append(lines, line)
		if room -= len(line.places); room == 0 || len(lines) == beatBatch {
			break
		}
	}
	return lines, told
}

// unitsCame makes those ask who wait for a unit. ended is the reset that has made
// it come (ms), or 0: those that were told after it that there is none, because a
// full budget leaves none either, sleep on. The caller holds mu.
func (q *RedisQueue) unitsCame(ended int64) {
	for _, l := range q.lines {
		if l.exhausted && (ended == 0 || l.usedUp < ended) {
			l.exhausted = false
			l.askNow()
			q.look() // its lease is shorter now, and the next beat sooner
		}
	}
}

// heard notes how a call went, and tells the observer what came of it.
func (q *RedisQueue) heard(events []gatewayqueue.Event, err error) {
	var alone *unacknowledgedError
	switch {
	case errors.As(err, &alone):
		q.unacknowledged(alone)
		q.config.observe(gatewayqueue.Event{Kind: gatewayqueue.EventStoreError, Err: err})
	case err == nil:
		q.health.answered()
	case q.ctx.Err() == nil || !errors.Is(err, context.Canceled):
		q.health.failed(err)
	}
	for _, e := range events {
		q.config.observe(e)
		switch e.Kind {
		case gatewayqueue.EventBudget:
			q.warn(e)
		case gatewayqueue.EventBlocked:
			q.logBlocked(e)
		case gatewayqueue.EventResting:
			q.rests(e)
		case gatewayqueue.EventPaused, gatewayqueue.EventResumed:
			q.logPause(e)
		}
	}
}

// rests tells that a shard rests.
func (q *RedisQueue) rests(e gatewayqueue.Event) {
	q.blockSaid(string(gatewayqueue.ReasonRest), &gatewayqueue.BlockedError{
		Reason: gatewayqueue.ReasonRest, Wait: e.Elapsed, Text: fmt.Sprintf("shard %d rests: it has identified too often", e.ShardID),
	}, func() {
		q.config.log.Warn("a shard identifies too often: it has to rest first", "shard", e.ShardID, "rest", e.Elapsed)
	})
}

// unready says that Redis has other limits or another state than the pod knew
// when it called. The caller holds mu.
func (q *RedisQueue) unready(known view) {
	if q.view.epoch != known.epoch || q.view.maxConcurrency != known.maxConcurrency || q.view.total != known.total {
		return // it has learnt them meanwhile
	}
	q.ready = false
	q.beatSoon()
}

// beatSoon makes the keeper beat now. The caller holds mu.
func (q *RedisQueue) beatSoon() {
	q.beaten = time.Time{}
	q.look()
}

// look makes the keeper look again.
func (q *RedisQueue) look() {
	select {
	case q.poke <- struct{}{}:
	default:
	}
}

// remember takes in what a reply says of the budget. Replies can overtake one
// another; seq tells their order. The caller holds mu.
func (q *RedisQueue) remember(known view, seq int64, left int, reset int64) []gatewayqueue.Event {
	if q.view.epoch != known.epoch || seq < q.view.seq {
		return nil
	}
	changed := q.view.remaining != left
	q.view.seq, q.view.remaining, q.view.reset = seq, left, reset
	if !changed {
		return nil
	}
	return []gatewayqueue.Event{{Kind: gatewayqueue.EventBudget, Remaining: left, Total: q.view.total}}
}

// budgetWarnings are the parts of the budget, in percent, below which the log
// says what is left.
var budgetWarnings = []int{5, 20, 50}

// warn logs once when what is left of the budget falls below one of the parts.
func (q *RedisQueue) warn(e gatewayqueue.Event) {
	part := 100
	for _, w := range budgetWarnings {
		if e.Remaining*100 <= e.Total*w {
			part = w
			break
		}
	}
	q.mu.Lock()
	fell := part < q.warned
	q.warned = part
	q.mu.Unlock()
	if fell {
		q.config.log.Warn(fmt.Sprintf("at most %d %% of the budget is left", part), "remaining", e.Remaining, "total", e.Total)
	}
}
