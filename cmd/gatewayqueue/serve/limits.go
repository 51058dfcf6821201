// The limits that Discord gives: at the start, and from time to time.

package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// source is Discord, and how it has answered last. A nil one has nothing to say:
// the limits are given by hand.
type source struct {
	ask     redisqueue.LimitSource
	log     *slog.Logger
	backoff redisqueue.SourceBackoff

	mu    sync.Mutex
	err   error // of the last answer
	last  error // the last error, also after good answers
	asked time.Time
	poke  chan struct{} // holds a value after a failure
}

func newSource(c *config, log *slog.Logger) *source {
	if c.token == "" {
		return nil
	}
	s := &source{log: log, poke: make(chan struct{}, 1), ask: redisqueue.DiscordLimits(nil, c.token)}
	if c.discord != "" {
		s.ask = redisqueue.DiscordLimitsAt(c.discord, nil, c.token)
	}
	return s
}

// limits is a [redisqueue.LimitSource].
func (s *source) limits(ctx context.Context) (gatewayqueue.SessionStartLimit, error) {
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

// ready adds to the queue's readiness how Discord has answered last. A bot whose
// token is refused cannot identify; other errors leave the limits in force. What
// the queue has heard from Discord may be older than that.
func (s *source) ready(err error) error {
	if s == nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(s.err, redisqueue.ErrUnauthorized):
		return s.err
	case err != nil && s.err == nil && s.last != nil && errors.Is(err, s.last):
		return nil
	}
	return err
}

// failed is the error of the last answer, and when that was.
func (s *source) failed() (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked, s.err
}

// patience is how long Discord may take to answer at the start.
const patience = time.Minute

// first asks until Discord answers, or refuses the token. It waits for as long as
// Discord wants to be left alone: who starts this server again asks it again.
func (s *source) first(ctx context.Context) (gatewayqueue.SessionStartLimit, error) {
	end := time.Now().Add(patience)
	for {
		limit, err := s.limits(ctx)
		switch {
		case err == nil:
			s.backoff.Answered()
			return limit, nil
		case errors.Is(err, redisqueue.ErrUnauthorized):
			return limit, err
		}
		wait, _ := s.backoff.Failed(err)
		if blocked := errors.Is(err, redisqueue.ErrRateLimited); !blocked && time.Now().Add(wait).After(end) {
			return limit, fmt.Errorf("cannot read the limits from Discord: %w", err)
		}
		s.log.Warn("cannot read the limits from Discord yet", "error", err, "again_in", wait.Round(time.Second))
		if err := pause(ctx, wait); err != nil {
			return limit, err
		}
	}
}

// try asks once, so that a token that Discord refuses ends the server at its
// start, also where the limits are in Redis already. It does not ask while
// Discord wants the fleet to leave it alone.
func (s *source) try(ctx context.Context, q gatewayqueue.Statuser) error {
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if status, err := q.Status(ctx); err == nil && status.Source.After.After(status.Time) {
		return nil
	}
	_, err := s.limits(ctx)
	switch {
	case errors.Is(err, redisqueue.ErrUnauthorized):
		return err
	case err != nil:
		s.log.Warn("cannot read the limits from Discord yet", "error", err)
	}
	return nil
}

// keepFresh asks from time to time, ever more rarely while Discord refuses.
func (s *source) keepFresh(ctx context.Context, every time.Duration, q *gatewayqueue.InMemoryQueue) {
	if s == nil {
		return
	}
	wait := every
	for pause(ctx, wait) == nil {
		err := q.Refresh(ctx, s.limits)
		if wait = s.judge(ctx, err); wait == 0 {
			wait = every
		}
	}
}

// comeBack asks again after a failure, because a server that is not ready is sent
// nobody who would have the queue ask.
func (s *source) comeBack(ctx context.Context) {
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
			if pause(ctx, wait) != nil {
				return
			}
			again, now := s.failed()
			if again.Equal(asked) { // otherwise the queue has asked meanwhile
				_, _ = s.limits(ctx) // which notes how it went
				again, now = s.failed()
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
func (s *source) judge(ctx context.Context, err error) time.Duration {
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
