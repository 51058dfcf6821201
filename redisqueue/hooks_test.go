package redisqueue_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"

	"github.com/redis/go-redis/v9"
)

// perCommand is a hook that treats each command of a pipeline as one by itself: what a
// pod sends together comes to a test as it would from several connections.
type perCommand struct{ redis.Hook }

func (h perCommand) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	process := h.ProcessHook(func(ctx context.Context, cmd redis.Cmder) error {
		return next(ctx, []redis.Cmder{cmd})
	})
	return func(ctx context.Context, cmds []redis.Cmder) error {
		errs := make([]error, len(cmds))
		var all sync.WaitGroup
		for i, cmd := range cmds {
			all.Go(func() { errs[i] = process(ctx, cmd) })
		}
		all.Wait()
		return errors.Join(errs...)
	}
}

// buffered is a connection that takes what is written to it at once, as a socket does
// and a [net.Pipe] does not: a pipeline is written while its first answers come.
type buffered struct {
	net.Conn

	mu      sync.Mutex
	wake    *sync.Cond
	pending bytes.Buffer
	closed  bool
	err     error
}

func newBuffered(conn net.Conn) *buffered {
	b := &buffered{Conn: conn}
	b.wake = sync.NewCond(&b.mu)
	go b.pump()
	return b
}

func (b *buffered) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return 0, b.err
	}
	b.wake.Signal()
	return b.pending.Write(p)
}

func (b *buffered) Close() error {
	b.mu.Lock()
	b.closed = true
	b.wake.Signal()
	b.mu.Unlock()
	return b.Conn.Close()
}

func (b *buffered) pump() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.err == nil && !b.closed {
		if b.pending.Len() == 0 {
			b.wake.Wait()
			continue
		}
		p := bytes.Clone(b.pending.Bytes())
		b.pending.Reset()
		b.mu.Unlock()
		_, err := b.Conn.Write(p)
		b.mu.Lock()
		b.err = err
	}
}
