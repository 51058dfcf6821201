package redisqueue_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// limiter refuses calls while it is shut.
type limiter struct{ shut atomic.Bool }

var errLimited = errors.New("too many requests of this process")

func (l *limiter) Allow() error {
	if l.shut.Load() {
		return errLimited
	}
	return nil
}

func (l *limiter) ReportResult(error) {}

// Whatever the client that it was given is like, the queue gets through once it
// can, or says what of the client's own stands in its way.
func TestAClientOfAnyKind(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		client func(*redis.Options)
		block  func(t *testing.T, c *redis.Client) (unblock func())
		says   string
	}{
		"without retries":     {client: func(o *redis.Options) { o.MaxRetries = -1 }},
		"that heeds contexts": {client: func(o *redis.Options) { o.ContextTimeoutEnabled = true }},
		"with RESP2":          {client: func(o *redis.Options) { o.Protocol = 2 }},
		"without timeouts":    {client: func(o *redis.Options) { o.ReadTimeout, o.WriteTimeout = -1, -1 }},
		"with one connection": {client: func(o *redis.Options) { o.PoolSize = 1 }},
		"with one that is never given": {
			client: func(o *redis.Options) { o.PoolSize, o.PoolTimeout, o.MaxRetries = 1, 50*time.Millisecond, -1 },
			block: func(t *testing.T, c *redis.Client) func() {
				held := c.Conn()
				require.NoError(t, held.Ping(t.Context()).Err())
				return func() { require.NoError(t, held.Close()) }
			},
			says: "PoolSize",
		},
		"with a Limiter": {
			client: func(o *redis.Options) { o.Limiter, o.MaxRetries = new(limiter), -1 },
			block: func(t *testing.T, c *redis.Client) func() {
				l := c.Options().Limiter.(*limiter)
				l.shut.Store(true)
				return func() { l.shut.Store(false) }
			},
			says: "by its Limiter or a hook",
		},
		"whose dials fail": {
			client: func(o *redis.Options) { o.MaxRetries = -1 },
			block: func(t *testing.T, c *redis.Client) func() {
				var open atomic.Bool
				c.AddHook(dials(func(next redis.DialHook) redis.DialHook {
					return func(ctx context.Context, network, addr string) (net.Conn, error) {
						if !open.Load() {
							return nil, errors.New("no way through the mesh")
						}
						return next(ctx, network, addr)
					}
				}))
				return func() { open.Store(true) }
			},
			says: "no way through the mesh",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := miniredis.RunT(t)
			server.ClockTTL(true)
			opts := &redis.Options{Addr: server.Addr()}
			row.client(opts)
			client := redis.NewClient(opts)
			t.Cleanup(func() { require.NoError(t, client.Close()) })
			unblock := func() {}
			if row.block != nil {
				unblock = row.block(t, client)
			}
			q := open(t, client, redisqueue.WithWindow(20*time.Millisecond), redisqueue.WithMargin(0), redisqueue.WithFreshStart(), redisqueue.WithLimit(full(1)))
			if row.says != "" {
				require.Eventually(t, func() bool { // within a second, unless the machine is slow
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					err := q.Wait(ctx, 0)
					return err != nil && strings.Contains(err.Error(), row.says)
				}, time.Minute, time.Millisecond)
			}
			waiter := ask(t.Context(), q, 1)
			time.Sleep(50 * time.Millisecond)
			unblock()
			require.NoError(t, answered(t, waiter, 30*time.Second))
			permit, err := q.Acquire(t.Context(), 2)
			require.NoError(t, err)
			require.NoError(t, permit.Abandon(t.Context()))
		})
	}
}

// dials is a hook of dials alone.
type dials func(redis.DialHook) redis.DialHook

func (d dials) DialHook(next redis.DialHook) redis.DialHook        { return d(next) }
func (dials) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }
func (dials) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
