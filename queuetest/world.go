// The world of one scenario: its queues, its judge, and its callers.

package queuetest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

type world struct {
	Harness
	testing.TB
	queue Queue // the first of pods
	pods  []Queue
	judge *gatewaytest.Judge
	start time.Time
	calls []*call // of Wait and Acquire, one after the other
}

// full is a full budget that no scenario uses up.
func full(maxConcurrency int) gatewayqueue.SessionStartLimit {
	return limit(maxConcurrency, 1000, 1000, 0)
}

func limit(maxConcurrency, remaining, total int, resetAfter time.Duration) gatewayqueue.SessionStartLimit {
	return gatewayqueue.SessionStartLimit{
		MaxConcurrency: maxConcurrency, Remaining: remaining, Total: total, ResetAfter: resetAfter,
	}
}

// open makes a world with one queue.
func (h Harness) open(t testing.TB, l gatewayqueue.SessionStartLimit) *world {
	t.Helper()
	return h.enter(t, l, func() []Queue { return []Queue{h.New(t, l)} })
}

// openUnlimited makes one with a queue that has no limit.
func (h Harness) openUnlimited(t testing.TB) *world {
	t.Helper()
	return h.enter(t, limit(0, 0, 0, 0), func() []Queue { return []Queue{h.Unlimited(t)} })
}

// openPods makes one with n queues on one state.
func (h Harness) openPods(t testing.TB, n int, l gatewayqueue.SessionStartLimit) *world {
	t.Helper()
	return h.enter(t, l, func() []Queue { return h.Pods(t, n, l) })
}

func (h Harness) enter(t testing.TB, l gatewayqueue.SessionStartLimit, queues func() []Queue) *world {
	t.Helper()
	// The judge first: its period must not end later than the queue's.
	w := &world{Harness: h, TB: t, judge: gatewaytest.NewJudge(l, h.Window)}
	w.start = time.Now() // before them: what is left of a period counts from when they are made
	w.pods = queues()
	w.queue = w.pods[0]
	t.Cleanup(func() {
		for _, q := range w.pods {
			if err := q.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		if v := w.judge.Verdict(); !v.OK() {
			t.Errorf("the judge: %v", v)
		}
	})
	return w
}

// until sleeps until a moment, counted from the start.
func (w *world) until(at time.Duration) { time.Sleep(at - w.now()) }

func (w *world) now() time.Duration { return time.Since(w.start) }

// settle lets every call that was made so far take its place. In real time it
// also keeps the next call's arrival apart from theirs.
func (w *world) settle() {
	if w.Virtual {
		synctest.Wait()
		return
	}
	time.Sleep(max(w.Slack, w.Window/50))
}

// busy is how much later than promised a call may return in real time: a machine
// that stands still for a second is no fault of the queue. Virtual time has the
// exact bounds, and nothing may return early in either.
func (w *world) busy() time.Duration {
	if w.Virtual {
		return 0
	}
	return 10 * w.Window
}

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

// outstanding counts the calls that have not returned.
func (w *world) outstanding() int {
	n := 0
	for _, c := range w.calls {
		if !c.hasReturned() {
			n++
		}
	}
	return n
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

func (w *world) status() gatewayqueue.Status {
	w.Helper()
	s, err := w.queue.Status(w.Context())
	if err != nil {
		w.Fatalf("Status: %v", err)
	}
	return s
}

// remaining expects that so much of the budget is left, or soon will be.
func (w *world) remaining(want int) {
	w.Helper()
	w.soon("remaining", want, func(s gatewayqueue.Status) int { return s.Budget.Remaining })
}

// inLine expects that so many wait.
func (w *world) inLine(want int) {
	w.Helper()
	w.soon("waiting", want, gatewayqueue.Status.Waiting)
}

func (w *world) soon(what string, want int, get func(gatewayqueue.Status) int) {
	w.Helper()
	w.settle()
	var got int
	for end := w.now() + w.Slack + w.Notice + w.busy(); ; time.Sleep(max(w.Slack, w.Window/100)) {
		if got = get(w.status()); got == want {
			return
		}
		if w.now() >= end {
			w.Fatalf("%s is %d after %v: want %d", what, got, w.now(), want)
		}
	}
}

// update puts a limit in force for the queue and the judge.
func (w *world) update(l gatewayqueue.SessionStartLimit) {
	w.Helper()
	w.judge.SetLimit(l) // first, because an update may grant at once
	if err := w.queue.Update(w.Context(), l); err != nil {
		w.Fatalf("Update: %v", err)
	}
	w.settle()
}

// rebucket changes max_concurrency, and leaves the budget as it is.
func (w *world) rebucket(maxConcurrency int) {
	w.Helper()
	b := w.status().Budget
	l := limit(maxConcurrency, b.Remaining, b.Total, gatewayqueue.LimitPeriod)
	if !b.Reset.IsZero() {
		l.ResetAfter = b.Reset.Sub(w.status().Time)
	}
	w.update(l)
}
