package redisqueue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// limits is what Redis holds of them.
func limitsOf(fields ...any) func(*testing.T, *redis.Client) {
	return func(t *testing.T, client *redis.Client) {
		require.NoError(t, client.HSet(t.Context(), at+"limits", fields...).Err())
	}
}

func TestReady(t *testing.T) {
	refused := errors.New("401 Unauthorized")
	for name, row := range map[string]struct {
		opts []redisqueue.Option
		seed func(*testing.T, *redis.Client)
		is   error
		says string
	}{
		"an empty Redis, which the first waiter fills": {},
		"limits in force": {seed: limitsOf("epoch", "e", "seq", 1, "total", 1000, "max_concurrency", 16)},
		"another max_concurrency": {
			opts: []redisqueue.Option{redisqueue.WithLimit(full(1))},
			seed: limitsOf("epoch", "e", "seq", 1, "total", 1000, "max_concurrency", 16),
			is:   redisqueue.ErrLimitMismatch, says: "WithLimit gave 1, the queue in Redis runs with 16",
		},
		"a total of 0 in force": {
			seed: limitsOf("epoch", "e", "seq", 1, "total", 0, "max_concurrency", 1),
			is:   redisqueue.ErrNeverGrants, says: "the total is 0",
		},
		"a total of 0 to begin with": {
			opts: []redisqueue.Option{redisqueue.WithLimit(gatewayqueue.SessionStartLimit{MaxConcurrency: 1})},
			is:   redisqueue.ErrNeverGrants, says: "the total is 0",
		},
		"a reserve of all": {
			opts: []redisqueue.Option{redisqueue.WithReserve(1000), redisqueue.WithLimit(full(1))},
			is:   redisqueue.ErrNeverGrants, says: "a reserve of 1000 leaves nothing of a total of 1000",
		},
		"a source that was not asked yet": {opts: []redisqueue.Option{
			redisqueue.WithLimitSource(func(context.Context) (gatewayqueue.SessionStartLimit, error) { return full(1), refused }),
		}},
		"limits that make no sense": {
			seed: limitsOf("epoch", "e", "total", "lots", "max_concurrency", 1), is: redisqueue.ErrBadValue, says: "limits",
		},
		"a key of another type": {seed: func(t *testing.T, c *redis.Client) {
			require.NoError(t, c.Set(t.Context(), at+"limits", "x", 0).Err())
		}, says: "holds another type"},
	} {
		t.Run(name, func(t *testing.T) {
			server := miniredis.RunT(t)
			client := redis.NewClient(&redis.Options{Addr: server.Addr()})
			t.Cleanup(func() { require.NoError(t, client.Close()) })
			if row.seed != nil {
				row.seed(t, client)
			}
			before := server.Dump()
			err := open(t, client, row.opts...).Ready(t.Context())
			if row.says == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, row.says)
			}
			if row.is != nil {
				require.ErrorIs(t, err, row.is)
			}
			assert.Equal(t, before, server.Dump(), "it writes nothing")
		})
	}
}

func TestReady_SaysWhyTheSourceGivesNoLimits(t *testing.T) {
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		refused := errors.New("401 Unauthorized")
		q := open(t, client, redisqueue.WithLimitSource(func(context.Context) (gatewayqueue.SessionStartLimit, error) {
			return gatewayqueue.SessionStartLimit{}, refused
		}))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		require.Error(t, q.Wait(ctx, 0))
		require.ErrorIs(t, q.Ready(t.Context()), refused)
	})
}

func TestReady_AfterClose(t *testing.T) {
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		q := open(t, client)
		require.NoError(t, q.Close())
		require.ErrorIs(t, q.Ready(t.Context()), gatewayqueue.ErrClosed)
	})
}

// A server that answers is not yet one that can grant.
func TestReady_OfAServerThatTakesNoWrites(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Binary) {
		server := b.Start(t)
		admin := server.Client(t)
		q := open(t, server.Client(t, func(o *redis.Options) { o.MaxRetries = -1 }), brief()...)
		require.NoError(t, q.Wait(t.Context(), 0))
		require.NoError(t, q.Ready(t.Context()))
		undo := replica(t, server, admin)
		err := q.Ready(t.Context())
		require.ErrorContains(t, err, "READONLY")
		require.ErrorContains(t, err, "use the address of its master")
		undo()
		if b.Name == "redis-6.0" {
			return // it lets a script write without its replicas
		}
		require.NoError(t, admin.ConfigSet(t.Context(), "min-replicas-to-write", "1").Err())
		require.ErrorContains(t, q.Ready(t.Context()), "NOREPLICAS")
	})
}
