package redisqueue_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// full is a full budget that no test uses up.
func full(maxConcurrency int) gatewayqueue.SessionStartLimit {
	return gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, MaxConcurrency: maxConcurrency}
}

// open makes a queue that ends with its test.
func open(t testing.TB, client redis.Scripter, opts ...redisqueue.Option) *redisqueue.RedisQueue {
	t.Helper()
	q, err := redisqueue.New(client, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, q.Close()) })
	return q
}

// brief are options for a real server: a window of 200 ms, and a new queue that
// is open at once.
func brief(more ...redisqueue.Option) []redisqueue.Option {
	return append([]redisqueue.Option{
		redisqueue.WithWindow(200 * time.Millisecond), redisqueue.WithMargin(20 * time.Millisecond),
		redisqueue.WithPodLease(200 * time.Millisecond), redisqueue.WithFreshStart(),
	}, more...)
}

// ask calls Wait in a goroutine.
func ask(ctx context.Context, q gatewayqueue.Queue, shard int) <-chan error {
	answer := make(chan error, 1)
	go func() { answer <- q.Wait(ctx, shard) }()
	return answer
}

// answered is what a call returns within a time.
func answered(t testing.TB, answer <-chan error, within time.Duration) error {
	t.Helper()
	select {
	case err := <-answer:
		return err
	case <-time.After(within):
		require.FailNow(t, "no answer", "within %v", within)
		return nil
	}
}

// waitsOn checks that a call does not return for a time.
func waitsOn(t testing.TB, answer <-chan error, during time.Duration) {
	t.Helper()
	select {
	case err := <-answer:
		require.FailNow(t, "it does not wait", "it returned %v", err)
	case <-time.After(during):
	}
}

// logbook is a slog handler that keeps every line.
type logbook struct {
	mu    *sync.Mutex
	lines *[]string
}

func newLogbook() logbook { return logbook{new(sync.Mutex), new([]string)} }

func (b logbook) option() redisqueue.Option { return redisqueue.WithLogger(slog.New(b)) }

func (b logbook) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (b logbook) WithAttrs([]slog.Attr) slog.Handler               { return b }
func (b logbook) WithGroup(string) slog.Handler                    { return b }

func (b logbook) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool { line += fmt.Sprintf(" %s=%v", a.Key, a.Value); return true })
	b.mu.Lock()
	defer b.mu.Unlock()
	*b.lines = append(*b.lines, line)
	return nil
}

// said is how many lines hold a text.
func (b logbook) said(text string) int {
	n := 0
	for _, line := range b.all() {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (b logbook) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(*b.lines)
}

// away is a hook that makes every call of its client fail while it is set, as
// if the network were down.
type away struct {
	mu  sync.Mutex
	err error
	n   int // calls so far, also those that failed
}

func (a *away) set(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

func (a *away) calls() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.n
}

func (a *away) DialHook(next redis.DialHook) redis.DialHook { return next }
func (a *away) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (a *away) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		a.mu.Lock()
		a.n++
		err := a.err
		a.mu.Unlock()
		if err != nil {
			cmd.SetErr(err)
			return err
		}
		return next(ctx, cmd)
	}
}

// unraced skips a test that makes so many calls, in hours or days of virtual time,
// that it takes minutes with the race detector. scripts/test runs those without it.
func unraced(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("takes minutes with the race detector: scripts/test runs it without, too")
	}
}
