// Pauses: the orders of operators, for queues that take any.

package queuetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

var pauses = []scenario{
	{"APausedQueueGrantsNothingUntilItIsResumed", aPausedQueueGrantsNothing, 0},
	{"APauseEndsByItself", aPauseEndsByItself, 0},
	{"AResumeEndsAPauseEarly", aResumeEndsAPauseEarly, 0},
	{"APauseIsInForceInEveryPod", aPauseIsInForceInEveryPod, pods},
	{"APermitMayBeUsedDuringAPause", aPermitMayBeUsedDuringAPause, 0},
	{"APauseIsWhyAWaitEndsInVain", aPauseIsWhyAWaitEndsInVain, 0},
	{"APauseOutlivesNewLimits", aPauseOutlivesNewLimits, 0},
	{"OrdersAreKept", ordersAreKept, 0},
	{"AnOrderThatLacksSomethingIsInvalid", anOrderThatLacksSomething, 0},
}

var order = gatewayqueue.Order{Who: "alice", Why: "Discord is down"}

// pauser is the queue, if it takes orders; else the scenario is skipped.
func (w *world) pauser() gatewayqueue.Pauser {
	w.Helper()
	p, ok := w.queue.(gatewayqueue.Pauser)
	if !ok {
		w.Skip("this queue cannot be paused")
	}
	return p
}

func (w *world) pause(d time.Duration) {
	w.Helper()
	o := order
	o.For = d
	if err := w.pauser().Pause(w.Context(), o); err != nil {
		w.Fatalf("Pause: %v", err)
	}
}

func (w *world) resume() {
	w.Helper()
	if err := w.pauser().Resume(w.Context(), order); err != nil {
		w.Fatalf("Resume: %v", err)
	}
}

func aPausedQueueGrantsNothing(t testing.TB, h Harness) {
	w := h.open(t, full(2))
	w.wait(8).grantedOnce(0)
	w.pause(0)
	line := w.spaced(4, 0, 6)
	w.until(4 * h.Window)
	for _, c := range append(line, w.wait(1)) {
		c.waiting()
	}
	s := w.status()
	if s.Pause == nil || !strings.HasPrefix(s.Pause.Who, order.Who) || s.Pause.Why != order.Why || !s.Pause.Until.IsZero() || s.Pause.Since.IsZero() {
		t.Errorf("the status says %+v: want who and why, since when, and no end", s.Pause)
	}
	w.inLine(4)
	w.remaining(999)
	now := w.now()
	w.resume()
	line[0].granted(now, w.now()+h.Notice)
	w.inOrder(line)
	if s := w.status(); s.Pause != nil {
		t.Errorf("the status still says %+v", s.Pause)
	}
}

func aPauseEndsByItself(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	now := w.now()
	w.pause(2 * h.Window)
	c := w.wait(0)
	if s := w.status(); s.Pause == nil || s.Pause.Until.IsZero() {
		t.Errorf("the status says %+v: want an end", s.Pause)
	}
	c.granted(now+2*h.Window-h.Slack, now+2*h.Window+h.Notice)
	if s := w.status(); s.Pause != nil {
		t.Errorf("the status still says %+v", s.Pause)
	}
}

func aResumeEndsAPauseEarly(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	w.pause(time.Hour)
	c := w.wait(0)
	w.until(h.Window)
	c.waiting()
	now := w.now()
	w.resume()
	c.granted(now, w.now()+h.Notice)
}

func aPauseIsInForceInEveryPod(t testing.TB, h Harness) {
	w := h.openPods(t, 3, full(4))
	w.wait(8).grantedOnce(0)
	w.pause(0)
	var all []*call
	for i, pod := range w.pods {
		all = append(all, w.waitIn(t.Context(), pod, i+1))
	}
	w.until(3 * h.Window)
	for _, c := range all {
		c.waiting()
	}
	now := w.now()
	w.resume()
	for _, c := range all {
		c.granted(now, w.now()+h.Notice)
	}
}

func aPermitMayBeUsedDuringAPause(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	p := w.acquire(0)
	p.grantedOnce(0)
	w.pause(0)
	w.until(3 * h.Window) // longer than a lease: it is renewed
	p.identified()
	next := w.wait(1)
	w.until(5 * h.Window)
	next.waiting()
	w.remaining(999)
	now := w.now()
	w.resume()
	next.granted(now, w.now()+h.Notice)
}

func aPauseIsWhyAWaitEndsInVain(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	w.pause(0)
	c := w.waitIn(w.deadline(3*h.Window), w.queue, 0)
	err := c.refused(3*h.Window-h.Slack, w.now()+3*h.Window+h.Slack)
	var why *gatewayqueue.BlockedError
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("the error is %q: want context.DeadlineExceeded", err)
	}
	if errors.As(err, &why) && (why.Reason != gatewayqueue.ReasonPaused || !strings.Contains(why.Error(), order.Why)) { // a client over HTTP is not told
		t.Errorf("the error is %q: want who has paused the queue, and why", err)
	}
	w.inLine(0)
}

func aPauseOutlivesNewLimits(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	w.pause(0)
	c := w.wait(1)
	w.rebucket(2)
	w.until(3 * h.Window)
	c.waiting()
	now := w.now()
	w.resume()
	c.granted(now, w.now()+h.Notice)
}

func ordersAreKept(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	w.wait(0).grantedOnce(0)
	w.resume() // of nothing: it is not kept
	w.pause(0)
	w.pause(time.Hour)
	w.resume()
	audit, err := w.pauser().Audit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, e := range audit {
		words = append(words, e.What+" "+e.For.String())
		if !strings.Contains(e.Who, order.Who) || e.Why != order.Why || e.Time.IsZero() { // a server adds whence it came
			t.Errorf("an entry is %+v", e)
		}
	}
	if got, want := strings.Join(words, ", "), "resume 0s, pause 1h0m0s, pause 0s"; got != want {
		t.Errorf("the audit is %s: want %s", got, want)
	}
}

func anOrderThatLacksSomething(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	p := w.pauser()
	long := strings.Repeat("x", 301)
	for name, o := range map[string]gatewayqueue.Order{
		"nobody":         {Why: "why"},
		"no reason":      {Who: "alice", Why: " "},
		"a long name":    {Who: long[:101], Why: "why"},
		"a long reason":  {Who: "alice", Why: long},
		"two lines":      {Who: "alice", Why: "a\nb"},
		"a cursor moves": {Who: "alice", Why: "a\x1b[2Jb"},
		"no text":        {Who: "alice", Why: "a\xffb"},
		"too short":      {Who: "alice", Why: "why", For: time.Millisecond},
		"too long":       {Who: "alice", Why: "why", For: 367 * 24 * time.Hour},
		"negative":       {Who: "alice", Why: "why", For: -time.Hour},
	} {
		if err := p.Pause(t.Context(), o); !errors.Is(err, gatewayqueue.ErrInvalid) {
			t.Errorf("%s: the error is %v: want ErrInvalid", name, err)
		}
	}
	resume := order
	resume.For = time.Hour
	if err := p.Resume(t.Context(), resume); !errors.Is(err, gatewayqueue.ErrInvalid) {
		t.Errorf("a resume for a while: the error is %v: want ErrInvalid", err)
	}
	w.wait(0).atOnce()
}
