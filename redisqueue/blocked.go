package redisqueue

// Why nothing is granted for now, said wherever somebody may look: in the log, as
// an event, and in the error of a Wait whose context ends.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Windows after which whoever waits is told why, though nothing has said so yet.
// An ordinary line is worth a word only where this pod has had nothing for longer.
const (
	tellAfter     = 0.6
	tellLineAfter = 3
	tellAgain     = 12  // the same reason: a minute, with Discord's window
	tellHourly    = 720 // the same, while it lasts
)

// told is when each reason was told last.
type told struct {
	mu   sync.Mutex
	when map[string]time.Time
}

// maySay says if a reason was not told for a while, and notes that it is now.
func (q *RedisQueue) maySay(reason string) bool {
	q.told.mu.Lock()
	defer q.told.mu.Unlock()
	now := time.Now()
	if last, ok := q.told.when[reason]; ok && now.Sub(last) < tellAgain*q.config.window {
		return false
	}
	if q.told.when == nil {
		q.told.when = make(map[string]time.Time)
	}
	q.told.when[reason] = now
	return true
}

// mayRepeat is maySay for what is told as long as it lasts: hourly, unless somebody
// of this pod was granted meanwhile.
func (q *RedisQueue) mayRepeat(key string, granted time.Time) bool {
	q.told.mu.Lock()
	last, ok := q.told.when[key]
	q.told.mu.Unlock()
	if ok && time.Since(last) < tellHourly*q.config.window && !granted.After(last) {
		return false
	}
	return q.maySay(key)
}

// blockedEvent is an EventBlocked, unless the same was told just now.
func (q *RedisQueue) blockedEvent(key string, b *gatewayqueue.BlockedError) []gatewayqueue.Event {
	if !q.maySay(key) {
		return nil
	}
	return []gatewayqueue.Event{{Kind: gatewayqueue.EventBlocked, Elapsed: b.Wait, Err: b}}
}

// block tells the log and the observer why nothing is granted.
func (q *RedisQueue) block(b *gatewayqueue.BlockedError) {
	for _, e := range q.blockedEvent(string(b.Reason), b) {
		q.config.observe(e)
		q.logBlocked(e)
	}
}

// blockSaid tells the observer, and says in the log by a line of its own what has
// happened; both or neither. key is what was told before, if it was: a reason, or a
// kind of one.
func (q *RedisQueue) blockSaid(key string, b *gatewayqueue.BlockedError, say func()) {
	for _, e := range q.blockedEvent(key, b) {
		q.config.observe(e)
		say()
	}
}

func (q *RedisQueue) logBlocked(e gatewayqueue.Event) {
	var b *gatewayqueue.BlockedError
	if !errors.As(e.Err, &b) {
		return
	}
	level := slog.LevelWarn
	if b.Reason == gatewayqueue.ReasonLine || b.Reason == gatewayqueue.ReasonHold {
		level = slog.LevelInfo // it ends by itself, and soon
	}
	q.config.log.Log(context.Background(), level, "nothing is granted for now", b.Attrs()...)
}

// closed is for how long every bucket is, as far as this pod has heard, and why.
type closed struct {
	until time.Time
	why   string
}

// holds notes that every bucket is closed.
func (q *RedisQueue) holds(d time.Duration, why string) {
	if d <= 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if until := time.Now().Add(d); until.After(q.hold.until) {
		q.hold = closed{until, why}
	}
}

// holdsFor says if every bucket is closed for that reason, as far as is known.
func (q *RedisQueue) holdsFor(why string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.hold.why == why && time.Until(q.hold.until) > 0
}

// holdBlocks is the hold as a reason.
func holdBlocks(d time.Duration, why string) *gatewayqueue.BlockedError {
	return &gatewayqueue.BlockedError{Reason: gatewayqueue.ReasonHold, Wait: d, Text: "every bucket is held closed: " + why}
}

// restBlocks is the rest of a shard as a reason.
func restBlocks(shard int, d time.Duration) *gatewayqueue.BlockedError {
	return &gatewayqueue.BlockedError{
		Reason: gatewayqueue.ReasonRest, Wait: max(0, d), Text: fmt.Sprintf("shard %d rests: it has identified too often", shard),
	}
}

// What a hold is for, where this pod does not know better.
const (
	whyEmpty   = "Redis had no queue of this application, or has lost it, so that who identified just now is not known"
	whyJoined  = "after a start, a loss of state, a change of limits, or by hand"
	whyLimits  = "max_concurrency has changed"
	whyOutage  = "Redis was away, and may have lost the last grants"
	whyLost    = "Redis has lost state, so that who identified just now is not known"
	whyAnother = "another Redis server answers than before, which may have missed the last grants"
)

// why is what keeps a waiter waiting. The caller holds mu.
func (q *RedisQueue) why(w *waiter) *gatewayqueue.BlockedError {
	now := time.Now()
	blocked := func(reason gatewayqueue.Reason, wait time.Duration, text string) *gatewayqueue.BlockedError {
		return &gatewayqueue.BlockedError{Reason: reason, Wait: max(0, wait), Text: text}
	}
	if err := q.health.last(); err != nil {
		b := blocked(gatewayqueue.ReasonStore, 0, "Redis does not answer as it should")
		b.Err = err
		return b
	}
	switch never := q.config.grantsEver(q.view); {
	case q.view.maxConcurrency == 0:
		return q.whyLobby()
	case never != nil:
		return q.budgetBlocks(0)
	case q.known.still.Load():
		return standsStill()
	case q.paused.is != nil:
		return q.paused.is.Blocks(now)
	case w.rest != nil:
		return restBlocks(w.shard, time.Until(w.rests))
	case w.line != nil && w.line.exhausted:
		return q.budgetBlocks(max(0, time.Until(w.line.ask)))
	case q.hold.until.After(now):
		return holdBlocks(q.hold.until.Sub(now), q.hold.why)
	case q.health.hold() > 0:
		return holdBlocks(q.health.hold(), whyOutage)
	case w.line == nil:
		return nil
	}
	l := w.line
	before := l.ahead
	for _, other := range l.waiters {
		if other == w {
			break
		}
		before++
	}
	if before > 0 {
		return blocked(gatewayqueue.ReasonLine, 0, fmt.Sprintf("%d stand before it in the line of bucket %d", before, l.bucket))
	}
	return blocked(gatewayqueue.ReasonLine, time.Until(l.ask), fmt.Sprintf("bucket %d is closed", l.bucket))
}

const cureLimits = "correct them: WithLimit, WithReserve, or Update"

func textNever(err error) string { return strings.TrimPrefix(err.Error(), "redisqueue: ") }

// budgetBlocks is why no unit is left: until the reset, or for good. The caller holds mu.
func (q *RedisQueue) budgetBlocks(reset time.Duration) *gatewayqueue.BlockedError {
	if never := q.config.grantsEver(q.view); never != nil {
		return &gatewayqueue.BlockedError{Reason: gatewayqueue.ReasonLimits, Text: textNever(never), Cure: cureLimits}
	}
	return &gatewayqueue.BlockedError{Reason: gatewayqueue.ReasonBudget, Wait: reset, Text: "the budget is used up until its reset"}
}

// whyLobby is why the limits are not known yet.
func (q *RedisQueue) whyLobby() *gatewayqueue.BlockedError {
	b := &gatewayqueue.BlockedError{Reason: gatewayqueue.ReasonSource}
	switch err := q.health.sourceError(); {
	case q.config.source == nil:
		b.Reason, b.Text = gatewayqueue.ReasonStore, "Redis has not said yet which limits are in force"
	case err != nil:
		return sourceBlocks(err, q.config.pace.Wait())
	default:
		b.Text = "the limits are not known yet: the limit source has not answered this pod, or another one"
	}
	return b
}

// sourceBlocks is a limit source that fails as a reason.
func sourceBlocks(err error, again time.Duration) *gatewayqueue.BlockedError {
	b := &gatewayqueue.BlockedError{
		Reason: gatewayqueue.ReasonSource, Wait: again, Err: err,
		Text: "the limits are not known, because the limit source fails",
	}
	switch {
	case errors.Is(err, ErrUnauthorized):
		b.Cure = "give DiscordLimits the bot's token, as the developer portal shows it"
	case errors.Is(err, ErrRateLimited):
		b.Cure = "it is asked again by itself: restarting does not help"
	default:
		b.Cure = "can this machine reach the limit source? WithLimit does without one"
	}
	return b
}

// waitsLongest is who has waited longest of this pod, and since when nobody was
// granted; nil if nobody waits. The caller holds mu.
func (q *RedisQueue) waitsLongest() (longest *waiter, since time.Time) {
	older := func(w *waiter) {
		if longest == nil || w.since.Before(longest.since) {
			longest = w
		}
	}
	for _, w := range q.lobby {
		older(w)
	}
	for w := range q.resting {
		older(w)
	}
	for _, l := range q.lines {
		for _, w := range l.waiters {
			older(w)
		}
	}
	if longest == nil {
		return nil, since
	}
	if since = longest.since; q.grantedAt.After(since) {
		since = q.grantedAt
	}
	return longest, since
}

// tellWhy tells why nobody of this pod was granted for a while. It runs in the
// keeper. What this pod cannot know by itself it looks up in Redis, once for each
// time that it is told.
func (q *RedisQueue) tellWhy() {
	q.mu.Lock()
	if time.Since(q.askedWhy) < q.config.window/5 { // it looks at all who wait
		q.mu.Unlock()
		return
	}
	q.askedWhy = time.Now()
	w, since := q.waitsLongest()
	granted := q.grantedAt
	var b *gatewayqueue.BlockedError
	var key string
	if w != nil && time.Since(since) >= windows(tellAfter, q.config.window) {
		b = q.why(w)
		if w.line != nil {
			key = q.store.keys.slot(w.line.bucket)
		}
	}
	q.mu.Unlock()
	switch {
	case b == nil, b.Err != nil: // of Redis or of the source: whoever asked tells
		return
	case b.Reason == gatewayqueue.ReasonLine && time.Since(since) < windows(tellLineAfter, q.config.window), !q.mayRepeat("long "+string(b.Reason), granted):
		return
	case b.Reason == gatewayqueue.ReasonLine:
		b = q.lookAtLine(b, key)
	case b.Reason == gatewayqueue.ReasonSource && b.Err == nil:
		b = q.lookAtSource(b)
	}
	q.block(b)
}

func windows(n float64, window time.Duration) time.Duration {
	return time.Duration(n * float64(window))
}

// lookAtLine says what has closed a bucket: a ticket, or somebody by hand.
func (q *RedisQueue) lookAtLine(b *gatewayqueue.BlockedError, slot string) *gatewayqueue.BlockedError {
	status, err := q.store.status(q.ctx, 0)
	if err == nil && status.Hold > 0 {
		return holdBlocks(status.Hold, whyJoined)
	}
	holder, left, err := q.store.remember(q.ctx, slot, "", 0, false)
	holder, permit := strings.CutSuffix(holder, permitSuffix)
	_, _, _, ticket := parseTicket(holder) //nolint:dogsled // only whether it is one
	switch {
	case err != nil || holder == "":
		return b
	case !ticket:
		b.Text, b.Cure = fmt.Sprintf("bucket closed by hand: %s holds %q", slot, holder), "delete that key, or wait for its TTL"
	case permit:
		b.Text += fmt.Sprintf("; %s holds a permit and has not identified yet", holder)
	default:
		b.Text += fmt.Sprintf("; %s has closed it", holder)
	}
	b.Wait = max(b.Wait, left)
	return b
}

// lookAtSource says how the limit source has failed for another pod.
func (q *RedisQueue) lookAtSource(b *gatewayqueue.BlockedError) *gatewayqueue.BlockedError {
	status, err := q.store.status(q.ctx, 0)
	if err != nil || status.Source.Error == "" {
		return b
	}
	again := time.Duration(0)
	if status.Source.After.After(status.Time) {
		again = status.Source.After.Sub(status.Time)
	}
	return sourceBlocks(fmt.Errorf("to another pod: %s", status.Source.Error), again)
}
