package redisqueue_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/queuetest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

func TestConformanceOnMiniredisInVirtualTime(t *testing.T) {
	unraced(t)
	newPods := func(t testing.TB, n int, limit gatewayqueue.SessionStartLimit) []queuetest.Queue {
		server := virtualRedis(t)
		return podsOn(t, n, limit, func() *redis.Client { return virtualClient(t, server) })
	}
	queuetest.Run(t, queuetest.Harness{
		New: func(t testing.TB, limit gatewayqueue.SessionStartLimit) queuetest.Queue {
			return newPods(t, 1, limit)[0]
		},
		Pods:         newPods,
		Refresh:      refreshed,
		Shared:       true,
		Virtual:      true,
		Window:       gatewayqueue.IdentifyDelay,
		Margin:       gatewayqueue.GrantMargin,
		PermitMargin: gatewayqueue.IdentifiedMargin,
		Slack:        5 * time.Millisecond,
		Notice:       2 * time.Second,
		Drain:        2 * gatewayqueue.IdentifyDelay, // a permit's lease
	})
}

func TestConformanceOnRealRedis(t *testing.T) {
	server := redistest.Start(t)
	const window = time.Second
	var app atomic.Int32
	newPods := func(t testing.TB, n int, limit gatewayqueue.SessionStartLimit) []queuetest.Queue {
		return podsOn(t, n, limit, func() *redis.Client { return server.Client(t) },
			redisqueue.WithApp(fmt.Sprintf("app-%d", app.Add(1))), redisqueue.WithWindow(window), redisqueue.WithPodLease(2*window))
	}
	queuetest.Run(t, queuetest.Harness{
		New: func(t testing.TB, limit gatewayqueue.SessionStartLimit) queuetest.Queue {
			return newPods(t, 1, limit)[0]
		},
		Pods:         newPods,
		Refresh:      refreshed,
		Shared:       true,
		Window:       window,
		Margin:       gatewayqueue.GrantMargin,
		PermitMargin: gatewayqueue.IdentifiedMargin,
		Slack:        window / 10,
		Notice:       window,
		Drain:        2 * window,
	})
}

// refreshed has a queue hear an answer of Discord that was asked for now.
func refreshed(t testing.TB, q queuetest.Queue, limit gatewayqueue.SessionStartLimit) {
	require.NoError(t, redisqueue.Refreshed(t.Context(), q.(*redisqueue.RedisQueue), limit))
}

// podsOn makes n queues of one application, each with a client of its own.
func podsOn(t testing.TB, n int, limit gatewayqueue.SessionStartLimit, client func() *redis.Client, opts ...redisqueue.Option) []queuetest.Queue {
	t.Helper()
	var pods []queuetest.Queue
	for i := range n {
		q, err := redisqueue.New(client(), append([]redisqueue.Option{
			redisqueue.WithLimit(limit), redisqueue.WithPod(fmt.Sprintf("pod-%d", i)),
			redisqueue.WithReserve(0), redisqueue.WithBackoff(0), redisqueue.WithFreshStart(),
		}, opts...)...)
		require.NoError(t, err)
		pods = append(pods, q)
	}
	return pods
}

// virtualRedis is a server for a synctest bubble: its TTLs follow the bubble's
// clock, and it listens nowhere.
func virtualRedis(t testing.TB) *miniredis.Miniredis {
	t.Helper()
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true)
	return server
}

// virtualClient connects to such a server within the bubble.
func virtualClient(t testing.TB, server *miniredis.Miniredis) *redis.Client {
	t.Helper()
	client := redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:6379", // an IP: a name would be looked up outside the bubble
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			conn, err := server.Dial()
			if err != nil {
				return nil, err
			}
			return newBuffered(conn), nil
		},
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
		DisableIdentity: true,
		PoolSize:        2048, // one that is used up keeps timers, which must not pass from bubble to bubble
	})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}
