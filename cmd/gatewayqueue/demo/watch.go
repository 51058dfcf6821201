// A look at the queue from outside, a few times a second.

package demo

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
)

// watch takes snapshots.
type watch struct {
	queue interface {
		gatewayqueue.Statuser
		Close() error
	}
	last atomic.Pointer[snapshot]
}

// snapshot is what was seen, and when.
type snapshot struct {
	status gatewayqueue.Status
	at     time.Time
	err    error // why there is nothing newer
}

func newWatch(template spec, redis *store.Store) (*watch, error) {
	template.Pod = "watch"
	queue, err := newQueue(template, redis.Client)
	if err != nil {
		return nil, err
	}
	w := &watch{queue: queue}
	w.last.Store(&snapshot{at: time.Now()})
	return w, nil
}

// pollEvery is often enough for a live view of any window.
func (c *config) pollEvery() time.Duration {
	return min(250*time.Millisecond, max(50*time.Millisecond, c.Window/20))
}

func (w *watch) poll(ctx context.Context, every time.Duration) {
	for {
		w.look(ctx)
		if sleep(ctx, every) != nil {
			return
		}
	}
}

func (w *watch) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	status, err := w.queue.Status(ctx)
	if err != nil {
		old := *w.last.Load()
		old.err = err
		w.last.Store(&old)
		return
	}
	w.last.Store(&snapshot{status: status, at: time.Now()})
}

// now is the last snapshot as it is by now, if nobody came or went.
func (w *watch) now() snapshot {
	s := *w.last.Load()
	s.status = picture.Later(s.status, time.Since(s.at))
	return s
}

func (w *watch) close() { _ = w.queue.Close() } // It only looked.
