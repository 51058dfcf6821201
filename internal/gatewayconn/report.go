package gatewayconn

import (
	"context"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// reportTimeout bounds one report of a permit. The queue goes on trying after
// it.
const reportTimeout = 5 * time.Second

// Reports tells a queue what became of permits, in the background: a library
// that has just identified must not wait for Redis. The zero Reports works.
type Reports struct {
	mu  sync.Mutex
	out map[chan struct{}]struct{}
}

// Abandon gives a permit back, and calls failed if that fails.
func (r *Reports) Abandon(permit gatewayqueue.Permit, failed func(error)) {
	r.start(func() {}, permit.Abandon, failed)
}

// Identified says of a permit that IDENTIFY was sent, and calls failed if that
// fails. If it was sent on line, which may be nil, that is said once it has arrived:
// then the window starts, again if it began with an announcement that was too
// long ago.
func (r *Reports) Identified(permit gatewayqueue.Permit, line *Line, failed func(error)) {
	first := func() {}
	if line != nil {
		first = func() { line.deliver(permit) }
	}
	r.start(first, permit.Identified, failed)
}

func (r *Reports) start(first func(), what func(context.Context) error, failed func(error)) {
	done := r.Expect()
	go func() {
		defer done()
		first()
		ctx, cancel := context.WithTimeout(context.Background(), reportTimeout)
		defer cancel()
		if err := what(ctx); err != nil {
			failed(err)
		}
	}()
}

// Expect makes Wait wait until done is called: there may be a permit to report
// by then.
func (r *Reports) Expect() (done func()) {
	c := make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.out == nil {
		r.out = make(map[chan struct{}]struct{})
	}
	r.out[c] = struct{}{}
	return func() {
		r.mu.Lock()
		delete(r.out, c)
		r.mu.Unlock()
		close(c)
	}
}

// Wait blocks until there is nothing left to report, or ctx ends.
func (r *Reports) Wait(ctx context.Context) {
	for {
		r.mu.Lock()
		var next chan struct{}
		for next = range r.out {
			break
		}
		r.mu.Unlock()
		if next == nil {
			return
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}
