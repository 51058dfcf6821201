// The helper gatewayqueue.Identify, and a mix of everything.

package queuetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

var helper = []scenario{
	{"IdentifyStartsTheWindow", identifyStartsTheWindow, 0},
	{"AFailedDialGivesSlotAndUnitBack", aFailedDialGivesSlotAndUnitBack, 0},
	{"APanicInDialGivesSlotAndUnitBack", aPanicInDialGivesSlotAndUnitBack, 0},
	{"AFailedIdentifyCountsAsOne", aFailedIdentifyCountsAsOne, 0},
	{"APanicInIdentifyCountsAsOne", aPanicInIdentifyCountsAsOne, 0},
	{"AContextThatEndsInDialGivesSlotAndUnitBack", aContextThatEndsInDial, 0},
	{"ADialThatOutlastsThePermitSendsNothing", aDialThatOutlastsThePermit, virtual},
	{"AMixOfCallersBreaksNoRule", aMixOfCallersBreaksNoRule, 0},
}

var errNet = errors.New("the network is down")

func ok(context.Context) error      { return nil }
func fail(context.Context) error    { return errNet }
func explode(context.Context) error { panic(errNet) }

// identify runs the helper, and returns its error or what it panicked with.
func (w *world) identify(ctx context.Context, shard int, dial, send func(context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = r.(error)
		}
	}()
	return gatewayqueue.Identify(ctx, w.queue, shard, dial, func(ctx context.Context) error {
		w.judge.Identify(shard)
		return send(ctx)
	})
}

func identifyStartsTheWindow(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	var sent time.Duration
	err := w.identify(t.Context(), 0,
		func(context.Context) error { time.Sleep(2 * h.Window); return nil },
		func(context.Context) error { sent = w.now(); return nil })
	if err != nil {
		t.Fatal(err)
	}
	w.wait(1).grantedAfterIdentified(sent)
	w.remaining(998)
}

func aFailedDialGivesSlotAndUnitBack(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	if err := w.identify(t.Context(), 0, fail, explode); !errors.Is(err, errNet) {
		t.Fatalf("the error is %v: want dial's", err)
	}
	w.remaining(1000)
	w.wait(1).soon()
}

func aPanicInDialGivesSlotAndUnitBack(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	if err := w.identify(t.Context(), 0, explode, ok); !errors.Is(err, errNet) {
		t.Fatalf("it panicked with %v: want what dial panicked with", err)
	}
	w.remaining(1000)
	w.wait(1).soon()
}

func aFailedIdentifyCountsAsOne(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	w.countsAsOne(fail)
}

func aPanicInIdentifyCountsAsOne(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	w.countsAsOne(explode)
}

func (w *world) countsAsOne(send func(context.Context) error) {
	w.Helper()
	sent := w.now()
	if err := w.identify(w.Context(), 0, ok, send); !errors.Is(err, errNet) {
		w.Fatalf("the error is %v: want identify's", err)
	}
	w.remaining(999)
	w.wait(1).granted(sent+w.Window, w.now()+w.Window+w.PermitMargin+w.Notice)
}

func aContextThatEndsInDial(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	ctx, cancel := context.WithCancelCause(t.Context())
	err := w.identify(ctx, 0, func(context.Context) error { cancel(errWeary); return nil }, explode)
	if !errors.Is(err, errWeary) || !errors.Is(err, context.Canceled) {
		t.Fatalf("the error is %v: want cause and error of the context", err)
	}
	w.remaining(1000)
	w.wait(1).soon()
}

func aDialThatOutlastsThePermit(t testing.TB, h Harness) {
	w := h.open(t, full(1))
	err := w.identify(t.Context(), 0, func(context.Context) error {
		time.Sleep(gatewayqueue.MaxPermitDuration + time.Second)
		return nil
	}, explode)
	if !errors.Is(err, gatewayqueue.ErrPermitExpired) {
		t.Fatalf("the error is %v: want ErrPermitExpired", err)
	}
	w.remaining(1000)
}

// Shards that wait, dial, fail, give up and come again, each until it has
// identified once. What was spent must be what the judge has seen.
func aMixOfCallersBreaksNoRule(t testing.TB, h Harness) {
	const shards, buckets = 24, 4
	w := h.open(t, full(buckets))
	var all sync.WaitGroup
	for shard := range shards {
		all.Go(func() {
			dice := rand.New(rand.NewPCG(7, uint64(shard)))
			some := func(part int) time.Duration { return time.Duration(dice.Int64N(int64(h.Window) / int64(part))) }
			time.Sleep(some(1))
			for identified := false; !identified; {
				ctx, cancel := context.WithCancel(t.Context())
				weary := time.AfterFunc(some(1)+h.Window, cancel)
				var err error
				if dice.IntN(2) == 0 {
					if err = w.queue.Wait(ctx, shard); err == nil {
						w.judge.Identify(shard)
					}
				} else {
					dial := ok
					if dice.IntN(4) == 0 {
						dial = fail
					}
					err = w.identify(ctx, shard, func(ctx context.Context) error {
						time.Sleep(some(10))
						return dial(ctx)
					}, ok)
				}
				weary.Stop()
				cancel()
				identified = err == nil
				if err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, errNet) {
					t.Errorf("shard %d: %v", shard, err)
					return
				}
				if w.now() > 100*h.Window {
					t.Errorf("shard %d still waits", shard)
					return
				}
			}
		})
	}
	all.Wait()
	if got := w.judge.Verdict().Identifies; got != shards && !t.Failed() {
		t.Errorf("%d shards have identified, of %d", got, shards)
	}
	w.remaining(1000 - shards)
	t.Logf("%v after %v", w.judge.Verdict(), w.now())
}
