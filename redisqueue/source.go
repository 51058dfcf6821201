package redisqueue

// How a limit source fails, and when it is asked again.

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// LimitSource asks for the current limits. [DiscordLimits] asks Discord. A
// source of your own may return a [SourceError] to say when it may be asked
// again.
type LimitSource func(context.Context) (gatewayqueue.SessionStartLimit, error)

var (
	// ErrUnauthorized is what a [SourceError] is where Discord refuses the bot
	// token. No waiting cures it: the bot needs another token.
	ErrUnauthorized = errors.New("Discord refuses the bot token") //nolint:staticcheck // A name.

	// ErrRateLimited is what a [SourceError] is where the API, or Cloudflare in
	// front of it, asks for a pause before the next request.
	ErrRateLimited = errors.New("rate limited")
)

// SourceError is how a limit source has failed, and for how long it is not to be
// asked again. Those of [DiscordLimits] hold no token and no address.
type SourceError struct {
	Status int // of the HTTP answer; 0 if there was none
	// RetryAfter is how long nobody may ask, from now; 0 if that was not said.
	// A queue keeps it in Redis, for its whole fleet. More than a day counts as
	// a day.
	RetryAfter time.Duration
	Err        error // what went wrong: ErrUnauthorized and ErrRateLimited are found in it
}

func (e *SourceError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *SourceError) Unwrap() error { return e.Err }

// longestRetryAfter bounds what is believed of a RetryAfter: no limit of
// Discord's lasts longer than a day.
const longestRetryAfter = gatewayqueue.LimitPeriod

// retryAfter is how long nobody may ask after err; 0 if it does not say.
func retryAfter(err error) time.Duration {
	var source *SourceError
	if !errors.As(err, &source) {
		return 0
	}
	return min(max(source.RetryAfter, 0), longestRetryAfter)
}

// failure is a way in which a source fails: how long to wait after the first time
// in a row, and at most.
type failure struct {
	first, most time.Duration
	all         bool // every pod would be answered the same
}

var (
	refusesToken = failure{first: 10 * time.Second, most: 5 * time.Minute} // each pod has its own
	blocks       = failure{first: time.Minute, most: 15 * time.Minute, all: true}
	misbehaves   = failure{first: 3 * time.Second, most: time.Minute}
	isAway       = failure{first: 3 * time.Second, most: 10 * time.Second}
)

func failureOf(err error) failure {
	var source *SourceError
	switch {
	case errors.Is(err, ErrUnauthorized):
		return refusesToken
	case errors.Is(err, ErrRateLimited), retryAfter(err) > 0:
		return blocks
	case errors.As(err, &source) && source.Status > 0:
		return misbehaves
	}
	return isAway
}

// tellEvery is how often the log repeats that a source fails.
const tellEvery = time.Hour

// SourceBackoff says when to ask a [LimitSource] again that has failed: never
// before its RetryAfter, and otherwise in growing pauses with jitter, of up to
// 10 s after errors of the network, a minute after other answers, 5 minutes
// while the token is refused, and 15 after a block that names no time. A queue
// paces itself; this is for those who call a source on their own.
//
// The zero value is ready. Its methods may be called from any number of
// goroutines.
type SourceBackoff struct {
	mu       sync.Mutex
	failures int     // of the same kind, in a row
	kind     failure // of the last
	until    time.Time
	told     time.Time
}

// Failed notes a failure. It returns how long to wait before the next call, and
// whether to tell people: the first time, when it fails in another way, and
// then hourly.
func (b *SourceBackoff) Failed(err error) (wait time.Duration, tell bool) {
	return b.failedAt(time.Now(), err)
}

func (b *SourceBackoff) failedAt(now time.Time, err error) (wait time.Duration, tell bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	kind := failureOf(err)
	if kind != b.kind {
		b.kind, b.failures, b.told = kind, 0, time.Time{}
	}
	b.failures++
	if wait = retryAfter(err); wait == 0 {
		grown := min(kind.first<<min(b.failures-1, 10), kind.most)
		wait = grown/2 + rand.N(grown/2)
	}
	b.until = now.Add(wait)
	if tell = b.told.IsZero() || now.Sub(b.told) >= tellEvery; tell {
		b.told = now
	}
	return wait, tell
}

// Answered notes a success. It returns true if the source had failed before.
func (b *SourceBackoff) Answered() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.failures > 0
	b.failures, b.kind, b.until, b.told = 0, failure{}, time.Time{}, time.Time{}
	return was
}

// Wait is for how long the source is not to be asked; 0 if it may be.
func (b *SourceBackoff) Wait() time.Duration { return b.waitAt(time.Now()) }

func (b *SourceBackoff) waitAt(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, b.until.Sub(now))
}

// paced is how a pod treats its limit source.
type paced struct{ *SourceBackoff }

// Failed notes a failure.
func (p paced) Failed(now time.Time, err error) (wait time.Duration, tell bool) {
	return p.failedAt(now, err)
}

// Wait is for how long the source is not to be asked.
func (p paced) Wait(now time.Time) time.Duration { return p.waitAt(now) }

// ForAll says that every pod would be answered the same.
func (paced) ForAll(err error) bool { return failureOf(err).all }

// Cure says what to do about a failure.
func (paced) Cure(err error) string {
	switch {
	case errors.Is(err, ErrUnauthorized):
		return "give DiscordLimits the bot's token, as the developer portal shows it"
	case errors.Is(err, ErrRateLimited):
		return "it is asked again by itself: restarting does not help"
	}
	return "can this machine reach the limit source? WithLimit does without one"
}
