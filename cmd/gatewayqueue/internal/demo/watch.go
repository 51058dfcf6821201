// A look at the queue from outside, a few times a second.

package demo

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// watch takes snapshots.
type watch struct {
	queue  *redisqueue.RedisQueue
	client redis.UniversalClient
	last   atomic.Pointer[snapshot]
	note   func(string)
}

// snapshot is what was seen, and when.
type snapshot struct {
	status gatewayqueue.Status
	at     time.Time
	err    error // why there is nothing newer
}

func newWatch(template spec, server *store.Store) (*watch, error) {
	template.Pod = "watch"
	client := server.Impatient()
	queue, err := newQueue(template, client)
	if err != nil {
		return nil, err
	}
	w := &watch{queue: queue, client: client}
	w.last.Store(&snapshot{at: time.Now()})
	return w, nil
}

// pollEvery is often enough for a live view of any window.
func (c *config) pollEvery() time.Duration {
	return min(250*time.Millisecond, max(50*time.Millisecond, c.Window/20))
}

// start looks at the queue until it is stopped, which takes a last look.
func (w *watch) start(parent context.Context, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(parent)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			w.look(ctx)
			if sleep(ctx, every) != nil {
				return
			}
		}
	}()
	return func() {
		cancel()
		<-stopped
		w.look(context.WithoutCancel(parent))
	}
}

func (w *watch) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	status, err := w.queue.Status(ctx)
	status = printable.All(status)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return // the demo ends
	}
	seen := *w.last.Load()
	wasAway := seen.err != nil
	if err == nil {
		seen = snapshot{status: status, at: time.Now()}
	}
	seen.err = err
	w.last.Store(&seen)
	switch {
	case err != nil && !wasAway:
		w.note("Redis is away: " + cli.OneLine(err))
	case err == nil && wasAway:
		w.note("Redis is back")
	}
}

// now is the last snapshot as it is by now, if nobody came or went.
func (w *watch) now() snapshot {
	s := *w.last.Load()
	s.status = picture.Later(s.status, time.Since(s.at))
	return s
}

func (w *watch) close() { _, _ = w.queue.Close(), w.client.Close() } // it only looked
