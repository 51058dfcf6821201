// The limits that Discord gives: at the start, and from time to time.

package server

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Source is Discord, and how it has answered last. A nil one has nothing to say:
// the limits are given by hand.
type Source struct {
	ask     redisqueue.LimitSource
	log     *slog.Logger
	backoff redisqueue.SourceBackoff

	mu    sync.Mutex
	err   error // of the last answer
	last  error // the last error, also after good answers
	heard bool  // it has given limits
	asked time.Time
	poke  chan struct{} // holds a value after a failure
}

// NewSource is Discord as a bot's token has it, at another address than its own if one
// is given. Without a token it is nil.
func NewSource(token, address string, log *slog.Logger) *Source {
	if token == "" {
		return nil
	}
	s := &Source{log: log, poke: make(chan struct{}, 1), ask: redisqueue.DiscordLimits(nil, token)}
	if address != "" {
		s.ask = redisqueue.DiscordLimitsAt(address, nil, token)
	}
	return s
}

// Limits is a [redisqueue.LimitSource].
func (s *Source) Limits(ctx context.Context) (gatewayqueue.SessionStartLimit, error) {
	limit, err := s.ask(ctx)
	if err == nil {
		err = limit.Validate()
	}
	if err != nil && ctx.Err() != nil {
		return limit, err // it is not Discord that has ended it
	}
	s.mu.Lock()
	s.err, s.asked = err, time.Now()
	if err != nil {
		s.last = err
	} else {
		s.heard = true
	}
	s.mu.Unlock()
	if err != nil {
		select {
		case s.poke <- struct{}{}:
		default:
		}
	}
	return limit, err
}

// Ready adds to the queue's readiness how Discord has answered last. A bot whose
// token is refused cannot identify; other errors leave the limits in force. What
// the queue has heard from Discord may be older than that; where it has no limits
// for that reason, nothing is granted.
func (s *Source) Ready(err error) error {
	if s == nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(s.err, redisqueue.ErrUnauthorized):
		return s.err
	case err == nil || s.last == nil || !errors.Is(err, s.last):
		return err
	case s.err == nil:
		return nil
	}
	return ErrUnheard
}

// ErrUnheard is why nothing is granted before Discord's first answer.
var ErrUnheard = errors.New("no limits from Discord yet")

// Unheard says that Discord was asked, and has given no limits ever since.
func (s *Source) Unheard() bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.heard
}

// failed is the error of the last answer, and when that was.
func (s *Source) failed() (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.err
}

// askTimeout bounds how long the start of the server waits for Discord.
const askTimeout = 5 * time.Second

// First asks once, at the start. It returns an error only where Discord refuses
// the token; after another failure there are no limits, and nothing is granted
// before KeepFresh has some: a server that ended, or did not answer its probes,
// would be started again, and ask again however long Discord wants to be left alone.
func (s *Source) First(ctx context.Context) (limit gatewayqueue.SessionStartLimit, known bool, _ error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	limit, err := s.Limits(ctx)
	switch {
	case err == nil:
		return limit, true, nil
	case errors.Is(err, redisqueue.ErrUnauthorized):
		return limit, false, err
	}
	wait, _ := s.backoff.Failed(err)
	s.log.Warn("cannot read the limits from Discord yet: nothing is granted before it answers", "error", err, "again_in", wait.Round(time.Second))
	return gatewayqueue.SessionStartLimit{MaxConcurrency: 1}, false, nil
}

// Try asks once, so that a token that Discord refuses ends the server at its
// start, also where the limits are in Redis already. The queue asks, because it
// lets Discord alone for as long as any server was told to, and tells the others.
func (s *Source) Try(ctx context.Context, q *redisqueue.RedisQueue) error {
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	switch err := q.AskSource(ctx); {
	case errors.Is(err, redisqueue.ErrUnauthorized):
		return err
	case err != nil && ctx.Err() != nil:
		s.log.Warn("cannot read the limits from Discord yet", "error", err)
	}
	return nil // of all else the queue's log tells
}

// Await asks until Discord gives limits or refuses the token, ever more rarely, and
// never before it wants to be asked again. It blocks until then, or until ctx ends.
func (s *Source) Await(ctx context.Context) (gatewayqueue.SessionStartLimit, error) {
	for {
		limit, err := s.Once(ctx)
		if err == nil {
			s.judge(ctx, nil)
			return limit, nil
		}
		if errors.Is(err, redisqueue.ErrUnauthorized) || ctx.Err() != nil {
			return limit, err
		}
		wait, tell := s.backoff.Failed(err)
		if tell {
			s.log.Warn("cannot read the limits from Discord yet: nothing is granted before it answers", "error", err, "again_in", wait.Round(time.Second))
		}
		if err := pause(ctx, wait); err != nil {
			return limit, err
		}
	}
}

// Once asks once, and waits for Discord no longer than a server may at its start.
func (s *Source) Once(ctx context.Context) (gatewayqueue.SessionStartLimit, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return s.Limits(ctx)
}

// Failing is the error of the last answer, or nil.
func (s *Source) Failing() error {
	_, err := s.failed()
	return err
}

// KeepFresh asks from time to time, ever more rarely while Discord refuses.
func (s *Source) KeepFresh(ctx context.Context, every time.Duration, q *memqueue.Queue) {
	if s == nil {
		return
	}
	wait := s.backoff.Wait()
	if wait == 0 {
		wait = every
	}
	for pause(ctx, wait) == nil {
		err := q.Refresh(ctx, s.Limits)
		if wait = s.judge(ctx, err); wait == 0 {
			wait = every
		}
	}
}

// leftAlone is how long to wait before the next try where the queue lets Discord
// alone for longer than this server was told to.
const leftAlone = 5 * time.Second

// ComeBack asks again after a failure, because a server that is not ready is sent
// nobody who would have the queue ask.
func (s *Source) ComeBack(ctx context.Context, ask func(context.Context) error) {
	if s == nil {
		return
	}
	for {
		select {
		case <-s.poke:
		case <-ctx.Done():
			return
		}
		for asked, err := s.failed(); err != nil; {
			wait, _ := s.backoff.Failed(err) // the queue's log has it
			again, now := asked, err
			for ; again.Equal(asked); again, now = s.failed() { // until it was asked: by the queue, or here
				if pause(ctx, wait) != nil {
					return
				}
				if again, _ = s.failed(); again.Equal(asked) {
					_ = ask(ctx) // Limits notes how it went
				}
				wait = leftAlone
			}
			asked, err = again, now
		}
		if s.backoff.Answered() {
			s.log.Info("Discord gives the limits again")
		}
	}
}

// judge says in the log how Discord has answered, as often as is worth a line,
// and returns for how long not to ask again; 0 if it has answered well.
func (s *Source) judge(ctx context.Context, err error) time.Duration {
	switch {
	case ctx.Err() != nil:
	case err == nil:
		if s.backoff.Answered() {
			s.log.Info("Discord gives the limits again")
		}
	default:
		wait, tell := s.backoff.Failed(err)
		if tell {
			s.log.Warn("could not refresh the limits: those in force stay", "error", err, "again_in", wait.Round(time.Second))
		}
		return wait
	}
	return 0
}

// pause returns an error if ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
