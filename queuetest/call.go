// Calls: the callers of a scenario, and what is expected of them.

package queuetest

import (
	"context"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// settled waits until the call has its place in line, or has returned: on a busy
// machine the next one might else arrive before it.
func (c *call) settled() {
	if c.w.Virtual {
		c.w.settle()
		return
	}
	for end := c.w.now() + c.w.Window; c.w.now() < end && !c.hasReturned(); {
		time.Sleep(c.w.Window / 50)
		if s, err := c.w.queue.Status(c.w.Context()); err != nil || s.Waiting() >= c.w.outstanding() {
			return
		}
	}
}

func (c *call) hasReturned() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// call is one caller in a queue, in a goroutine of its own.
type call struct {
	w      *world
	shard  int
	leave  context.CancelCauseFunc
	sent   time.Duration // when it was made, from the start
	done   chan struct{} // closed when the fields below are set
	at     time.Duration // when it returned, from the start
	err    error
	permit gatewayqueue.Permit // of acquire
}

// wait sends a shard to the first pod's Wait.
func (w *world) wait(shard int) *call { return w.waitIn(w.Context(), w.queue, shard) }

// waits sends several, one after the other.
func (w *world) waits(shards ...int) []*call {
	calls := make([]*call, len(shards))
	for i, shard := range shards {
		calls[i] = w.wait(shard)
	}
	return calls
}

func (w *world) waitIn(ctx context.Context, q Queue, shard int) *call {
	c := w.send(ctx, shard, func(c *call, ctx context.Context) error {
		err := q.Wait(ctx, shard)
		if err == nil {
			w.judge.Identify(shard)
		}
		return err
	})
	c.settled()
	return c
}

// together sends several shards in one instant of virtual time.
func (w *world) together(shards ...int) []*call {
	calls := make([]*call, len(shards))
	for i, shard := range shards {
		calls[i] = w.send(w.Context(), shard, func(c *call, ctx context.Context) error {
			err := w.queue.Wait(ctx, shard)
			if err == nil {
				w.judge.Identify(shard)
			}
			return err
		})
	}
	w.settle()
	return calls
}

// acquire sends a shard to the first pod's Acquire.
func (w *world) acquire(shard int) *call {
	return w.acquireIn(w.Context(), w.queue, shard)
}

func (w *world) acquireIn(ctx context.Context, q Queue, shard int) *call {
	c := w.send(ctx, shard, func(c *call, ctx context.Context) (err error) {
		c.permit, err = q.Acquire(ctx, shard)
		return err
	})
	c.settled()
	return c
}

func (w *world) send(ctx context.Context, shard int, ask func(*call, context.Context) error) *call {
	ctx, leave := context.WithCancelCause(ctx)
	c := &call{w: w, shard: shard, leave: leave, sent: w.now(), done: make(chan struct{})}
	w.Cleanup(func() { leave(nil) })
	w.calls = append(w.calls, c)
	go func() {
		defer close(c.done)
		c.err = ask(c, ctx)
		c.at = w.now()
	}()
	return c
}

// returned waits for the call to return, which it must do between two moments.
func (c *call) returned(from, to time.Duration) {
	c.w.Helper()
	to += c.w.Slack + c.w.busy()
	patience := max(0, to-c.w.now()) + 3*c.w.Window
	select {
	case <-c.done:
	case <-time.After(patience):
		c.w.Fatalf("shard %d still waits at %v: it should not after %v", c.shard, c.w.now(), to)
	}
	if c.at < from || c.at > to {
		c.w.Fatalf("shard %d returned after %v (%v): want %v to %v", c.shard, c.at, c.err, from, to)
	}
}

// granted expects a grant between two moments.
func (c *call) granted(from, to time.Duration) {
	c.w.Helper()
	c.returned(from, to)
	if c.err != nil {
		c.w.Fatalf("shard %d was refused after %v: %v", c.shard, c.at, c.err)
	}
}

// atOnce expects a grant without a wait.
func (c *call) atOnce() {
	c.w.Helper()
	c.granted(c.sent, c.sent)
}

// soon expects one as soon as the queue knows what other calls have done.
func (c *call) soon() {
	c.w.Helper()
	c.granted(c.sent, c.sent+c.w.Notice)
}

// grantedOnce expects a grant at a moment that was known in advance, and no
// earlier.
func (c *call) grantedOnce(at time.Duration) {
	c.w.Helper()
	c.granted(at, at)
}

// grantedAfter expects a grant as soon as the window that began with a grant
// has passed. The margin is the queue's own business, the window is not.
func (c *call) grantedAfter(grant time.Duration) {
	c.w.Helper()
	c.granted(grant+c.w.Window, grant+c.w.Window+c.w.Margin)
}

// grantedADayAfter expects a grant at the end of the period that began with the
// IDENTIFY of a grant of Wait, which may have left up to the margin later.
func (c *call) grantedADayAfter(grant time.Duration) {
	c.w.Helper()
	day := grant + gatewayqueue.LimitPeriod
	c.granted(day, day+c.w.Margin+c.w.Notice)
}

// refused expects an error between two moments.
func (c *call) refused(from, to time.Duration) error {
	c.w.Helper()
	c.returned(from, to)
	if c.err == nil {
		c.w.Fatalf("shard %d was granted after %v: want an error", c.shard, c.at)
	}
	return c.err
}

// waiting expects that the call has not returned yet.
func (c *call) waiting() {
	c.w.Helper()
	c.w.settle()
	if c.hasReturned() {
		c.w.Fatalf("shard %d returned after %v (%v): it should still wait", c.shard, c.at, c.err)
	}
}

// identified sends the permit's IDENTIFY and reports it.
func (c *call) identified() {
	c.w.Helper()
	c.w.judge.Identify(c.shard)
	if err := c.permit.Identified(c.w.Context()); err != nil {
		c.w.Fatalf("Identified: %v", err)
	}
}

func (c *call) abandon() {
	c.w.Helper()
	if err := c.permit.Abandon(c.w.Context()); err != nil {
		c.w.Fatalf("Abandon: %v", err)
	}
}
