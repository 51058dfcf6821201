// Connections that fail: what the queue hears of them, and how soon.

package e2e

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest/zstdstream"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

func TestAFailedDisgoConnectionGivesItsSlotBackAtOnce(t *testing.T) {
	t.Parallel()
	giveBack(t, "disgo", func(c podConfig, client redis.UniversalClient, q *redisqueue.RedisQueue) bot {
		return newDisgoBot(c, client, q, slog.New(slog.DiscardHandler))
	})
}

func TestAFailedDiscordgoConnectionGivesItsSlotBackAtOnce(t *testing.T) {
	t.Parallel()
	giveBack(t, "discordgo", func(c podConfig, client redis.UniversalClient, q *redisqueue.RedisQueue) bot {
		return newDiscordgoBot(c, client, q)
	})
}

// watch notes when things happened.
type watch struct {
	mu sync.Mutex
	at map[gatewayqueue.EventKind][]time.Time
}

func (w *watch) observe(e gatewayqueue.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at[e.Kind] = append(w.at[e.Kind], time.Now())
}

func (w *watch) times(kind gatewayqueue.EventKind) []time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]time.Time(nil), w.at[kind]...)
}

// giveBack has the first connections of a shard fail, at Discord's own pace: a
// slot that did not come back would cost 5 s.
func giveBack(t *testing.T, library string, newBot func(podConfig, redis.UniversalClient, *redisqueue.RedisQueue) bot) {
	const failures = 2
	ctx, cancel := context.WithTimeout(t.Context(), readyTimeout)
	defer cancel()
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, ResetAfter: time.Hour, MaxConcurrency: 1}
	srv := gatewaytest.NewServer(gatewaytest.WithLimit(limit), gatewaytest.WithZstd(zstdstream.New),
		gatewaytest.WithFailure(gatewaytest.RefuseConnection, gatewaytest.First(1)),
		gatewaytest.WithFailure(gatewaytest.DropBeforeHello, gatewaytest.First(1)))
	t.Cleanup(srv.Close)
	server := redistest.Start(t)
	client := server.Client(t)
	seen := &watch{at: make(map[gatewayqueue.EventKind][]time.Time)}
	queue, err := redisqueue.New(client, redisqueue.WithLimit(limit), redisqueue.WithFreshStart(), redisqueue.WithObserver(seen.observe))
	require.NoError(t, err)
	b := newBot(podConfig{
		Library: library, Limiter: limiterPermits, URL: srv.URL(), Token: srv.Token(),
		Shards: []int{0}, ShardCount: 2, Window: gatewayqueue.IdentifyDelay, Limit: limit,
	}, client, queue)
	start := time.Now()
	b.open(ctx)
	require.NoError(t, srv.WaitReady(ctx, 1))
	t.Logf("ready after %v", time.Since(start))
	b.close(ctx)

	status, err := queue.Status(ctx)
	require.NoError(t, err)
	assert.Equal(t, 999, status.Budget.Remaining, "one identify, one unit")
	require.NoError(t, queue.Close())
	granted, abandoned := seen.times(gatewayqueue.EventGranted), seen.times(gatewayqueue.EventAbandoned)
	require.Len(t, abandoned, failures)
	require.Len(t, granted, failures+1)
	for i, at := range abandoned {
		t.Logf("slot held for %v by a connection that failed", at.Sub(granted[i]))
		assert.Less(t, at.Sub(granted[i]), time.Second)
	}
	assert.True(t, srv.Judge().Verdict().OK())
}
