package httpqueue_test

// The client is a queue like any other: it passes the whole suite, over HTTP.

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
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/queuetest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

func TestClient_ConformsOverAQueueInMemory(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, queuetest.Harness{
		New: func(t testing.TB, limit gatewayqueue.SessionStartLimit) queuetest.Queue {
			return serve(t, inMemory(t, limit), httpqueue.WithBearerToken("secret")).dial(t, httpqueue.WithToken("secret"))
		},
		Virtual:      true,
		Window:       gatewayqueue.IdentifyDelay,
		Margin:       gatewayqueue.GrantMargin,
		PermitMargin: gatewayqueue.IdentifiedMargin,
	})
}

// Days of a Redis in memory take their time: half a minute, twice that with the
// race detector, which has seen it all in the two others.
func TestClientConformsOverAVirtualRedis(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("takes too long with the race detector")
	}
	newPods := func(t testing.TB, n int, limit gatewayqueue.SessionStartLimit) []queuetest.Queue {
		server := miniredis.NewMiniRedis()
		server.ClockTTL(true)
		// Long polls, because days of short ones take their time even here.
		long := httpqueue.WithMaxWait(10 * time.Minute)
		return clientsOn(t, n, limit, serve, long, func() redis.UniversalClient {
			client := redis.NewClient(&redis.Options{
				Addr:                     "127.0.0.1:6379", // an IP: a name would be looked up outside the bubble
				Dialer:                   func(context.Context, string, string) (net.Conn, error) { return server.Dial() },
				MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
				DisableIdentity:          true,
			})
			t.Cleanup(func() { require.NoError(t, client.Close()) })
			return client
		})
	}
	queuetest.Run(t, queuetest.Harness{
		New: func(t testing.TB, limit gatewayqueue.SessionStartLimit) queuetest.Queue {
			return newPods(t, 1, limit)[0]
		},
		Pods:         newPods,
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

func TestClientConformsOverRealRedis(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds of real time")
	}
	t.Parallel()
	server := redistest.Start(t)
	const window = 2500 * time.Millisecond // busy machines are late by tenths of a second
	var app atomic.Int32
	newPods := func(t testing.TB, n int, limit gatewayqueue.SessionStartLimit) []queuetest.Queue {
		return clientsOn(t, n, limit, serveTCP, httpqueue.WithMaxWait(httpqueue.DefaultMaxWait), func() redis.UniversalClient { return server.Client(t) },
			redisqueue.WithApp(fmt.Sprintf("app-%d", app.Add(1))), redisqueue.WithWindow(window), redisqueue.WithPodLease(2*window))
	}
	queuetest.Run(t, queuetest.Harness{
		New: func(t testing.TB, limit gatewayqueue.SessionStartLimit) queuetest.Queue {
			return newPods(t, 1, limit)[0]
		},
		Pods:         newPods,
		Shared:       true,
		Window:       window,
		Margin:       gatewayqueue.GrantMargin,
		PermitMargin: gatewayqueue.IdentifiedMargin,
		Slack:        window / 10,
		Notice:       window,
		Drain:        2 * window,
	})
}

// clientsOn makes n servers of one application, each with a client of its own.
func clientsOn(t testing.TB, n int, limit gatewayqueue.SessionStartLimit,
	serve func(testing.TB, gatewayqueue.PermitQueue, ...httpqueue.Option) *site,
	wait httpqueue.ClientOption, client func() redis.UniversalClient, opts ...redisqueue.Option,
) []queuetest.Queue {
	t.Helper()
	var clients []queuetest.Queue
	for i := range n {
		connection := client()
		require.NoError(t, connection.Ping(t.Context()).Err()) // so that the first shard need not wait for that
		q, err := redisqueue.New(connection, append([]redisqueue.Option{
			redisqueue.WithLimit(limit), redisqueue.WithPod(fmt.Sprintf("server-%d", i)),
			redisqueue.WithReserve(0), redisqueue.WithFreshStart(), redisqueue.WithBackoff(0),
		}, opts...)...)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, q.Close()) })
		clients = append(clients, serve(t, q, httpqueue.WithBearerToken("secret")).dial(t, wait, httpqueue.WithToken("secret"))) // orders need it
	}
	return clients
}
