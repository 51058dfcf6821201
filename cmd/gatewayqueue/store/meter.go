// A hook that counts a pod's script calls, and can cut the pod off.

package store

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// ErrCut is what a client that was cut off returns.
var ErrCut = errors.New("this pod was killed")

// Meter counts the EVALSHA and EVAL of the clients that it is added to: the
// queue sends nothing else. Greetings of new connections are not counted.
type Meter struct {
	calls atomic.Int64
	cut   atomic.Bool
}

// Calls is how many scripts were called.
func (m *Meter) Calls() int64 { return m.calls.Load() }

// Cut makes every later command fail before it is sent, as if the process were
// gone: nothing of it reaches Redis any more.
func (m *Meter) Cut() { m.cut.Store(true) }

// DialHook is part of [redis.Hook].
func (m *Meter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if m.cut.Load() {
			return nil, ErrCut
		}
		return next(ctx, network, addr)
	}
}

// ProcessHook is part of [redis.Hook].
func (m *Meter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := m.count(cmd); err != nil {
			return err
		}
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook is part of [redis.Hook].
func (m *Meter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			if err := m.count(cmd); err != nil {
				return err
			}
		}
		return next(ctx, cmds)
	}
}

func (m *Meter) count(cmd redis.Cmder) error {
	if m.cut.Load() {
		cmd.SetErr(ErrCut)
		return ErrCut
	}
	if strings.HasPrefix(cmd.Name(), "eval") {
		m.calls.Add(1)
	}
	return nil
}
