package redisqueue_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

const shortWindow = 500 * time.Millisecond

// restartFleet starts a fleet with a short window on a real server.
func restartFleet(t *testing.T, client func() *redis.Client) *fleet {
	limit := gatewayqueue.SessionStartLimit{Total: 100, Remaining: 99, MaxConcurrency: 2, ResetAfter: time.Hour}
	return startFleet(t, 3, limit, shortWindow, client, redisqueue.WithWindow(shortWindow), redisqueue.WithPodLease(shortWindow))
}

// goesOn waits until so many more were granted.
func (f *fleet) goesOn(grants int, within time.Duration) {
	f.Helper()
	want := f.judge.Verdict().Identifies + grants
	require.Eventually(f, func() bool { return f.judge.Verdict().Identifies >= want }, within, 5*time.Millisecond,
		"%d grants within %v", grants, within)
}

// balance checks that what was granted is what was spent, but for so many units
// that went with a server, and never less.
func (f *fleet) balance(lost int) {
	f.Helper()
	status, err := f.pods[0].Status(f.Context())
	require.NoError(f, err)
	v := f.end()
	spent := 99 - status.Budget.Remaining
	require.LessOrEqual(f, v.Identifies, spent+3, "%d spent, %v", spent, v) // up to three since the look
	require.GreaterOrEqual(f, v.Identifies+lost, spent, "%d spent, %v", spent, v)
	f.Logf("%d units spent; %v", spent, v)
}

func TestARestartWithItsDataBreaksNoRule(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	f := restartFleet(t, func() *redis.Client { return server.Client(t) })
	for range 3 {
		f.goesOn(4, 10*time.Second)
		server.Kill()
		time.Sleep(50 * time.Millisecond)
		server.Restart()
	}
	f.goesOn(4, 10*time.Second)
	f.balance(3) // a grant whose reply was lost may be its caller's only later
}

func TestARestartWithoutDataIsNoticed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	f := restartFleet(t, func() *redis.Client { return server.Client(t) })
	for range 3 {
		f.goesOn(4, 10*time.Second)
		server.Kill()
		server.Restart()
	}
	f.goesOn(4, 10*time.Second)
	require.GreaterOrEqual(t, f.log.said("Redis had lost state"), 3, f.log.all())
	f.balance(3)
}

// A replica that lost touch while its master granted on is promoted: the pods
// know a later seq than it does.
func TestAReplicaThatLaggedIsNoticed(t *testing.T) {
	t.Parallel()
	master, replica := redistest.Start(t), redistest.Start(t)
	admin := replica.Client(t)
	require.NoError(t, admin.Do(t.Context(), "REPLICAOF", "127.0.0.1", master.Port).Err())
	var addr atomic.Value
	addr.Store(master.Addr)
	f := restartFleet(t, func() *redis.Client {
		return master.Client(t, func(o *redis.Options) {
			o.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, addr.Load().(string))
			}
		})
	})
	f.goesOn(4, 10*time.Second)
	require.Eventually(t, func() bool {
		n, err := admin.Exists(t.Context(), at+"limits").Result()
		return err == nil && n == 1
	}, 10*time.Second, 10*time.Millisecond)
	require.NoError(t, admin.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err())
	f.goesOn(6, 10*time.Second) // the replica misses these
	addr.Store(replica.Addr)
	master.Kill()
	f.goesOn(6, 10*time.Second)
	require.NotZero(t, f.log.said("Redis had lost state"), f.log.all())
	f.balance(6)
}
