package gatewayconn

import (
	"context"
	"sync"
	"time"
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

// Go calls what, a permit's Identified or Abandon, and failed if that fails.
func (r *Reports) Go(what func(context.Context) error, failed func(error)) {
	done := make(chan struct{})
	r.mu.Lock()
	if r.out == nil {
		r.out = make(map[chan struct{}]struct{})
	}
	r.out[done] = struct{}{}
	r.mu.Unlock()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), reportTimeout)
		defer cancel()
		if err := what(ctx); err != nil {
			failed(err)
		}
		r.mu.Lock()
		delete(r.out, done)
		r.mu.Unlock()
		close(done)
	}()
}

// Wait blocks until all reports that were begun have ended, or ctx has.
func (r *Reports) Wait(ctx context.Context) {
	r.mu.Lock()
	out := make([]chan struct{}, 0, len(r.out))
	for done := range r.out {
		out = append(out, done)
	}
	r.mu.Unlock()
	for _, done := range out {
		select {
		case <-done:
		case <-ctx.Done():
			return
		}
	}
}
