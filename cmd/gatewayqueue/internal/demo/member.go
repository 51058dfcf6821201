// How the fleet holds a pod that is a goroutine of this process.

package demo

import (
	"context"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// member is a pod as the fleet sees it. Its methods are called by one goroutine.
type member interface {
	start()
	// kill ends the pod as a crash would: nothing of it reaches Redis or the
	// judge after kill has returned.
	kill()
	// stop ends it cleanly and waits for it.
	stop()
	calls() int64
}

// thread is a member that is a goroutine.
type thread struct {
	pod
	close  func() error
	cancel context.CancelFunc
	ctx    context.Context
	done   chan struct{}

	mu   sync.Mutex
	dead bool
}

func newThread(ctx context.Context, s spec, judge *gatewaytest.Judge, explain func(error) error, tell func(event)) (*thread, error) {
	// A Redis client of its own, as a process would have: it can be cut.
	client, err := store.Client(s.Redis)
	if err != nil {
		return nil, err
	}
	meter := &store.Meter{}
	client.AddHook(meter)
	queue, err := newQueue(s, client)
	if err != nil {
		return nil, err
	}
	t := &thread{done: make(chan struct{})}
	t.ctx, t.cancel = context.WithCancel(ctx)
	t.close = func() error { defer client.Close(); return queue.Close() } // Nothing to lose.
	t.pod = pod{spec: s, queue: queue, meter: meter, explain: explain, tell: t.alive(tell)}
	t.identify = func(_ context.Context, shard int) (gatewaytest.Ruling, error) {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.dead {
			return gatewaytest.Ruling{}, store.ErrCut
		}
		return judge.Identify(shard), nil
	}
	return t, nil
}

// alive keeps a dead pod from telling anything.
func (t *thread) alive(tell func(event)) func(event) {
	return func(e event) {
		t.mu.Lock()
		dead := t.dead
		t.mu.Unlock()
		if !dead {
			tell(e)
		}
	}
}

func (t *thread) start() {
	go func() {
		defer close(t.done)
		t.bringUp(t.ctx)
	}()
}

func (t *thread) kill() {
	t.mu.Lock()
	t.dead = true
	t.mu.Unlock()
	t.meter.Cut()
	t.cancel() // which tells nobody any more
}

func (t *thread) stop() {
	t.cancel()
	select {
	case <-t.done:
	case <-time.After(stopWithin):
	}
	_ = t.close() // A cut pod cannot say good-bye.
}

func (t *thread) calls() int64 { return t.meter.Calls() }
