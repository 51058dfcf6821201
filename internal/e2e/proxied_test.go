// disgo and discordgo through the proxy: as people use them without us, with nothing
// but another address.

package e2e

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

func TestDisgoWithoutUsIsHeldByTheProxy(t *testing.T)     { t.Parallel(); liveProxied(t, "disgo") }
func TestDiscordgoWithoutUsIsHeldByTheProxy(t *testing.T) { t.Parallel(); liveProxied(t, "discordgo") }

// proxies are two on one Redis.
type proxies struct {
	*testing.T
	fleet *fleet
	ends  [2]func() // of those that serve
	addrs [2]string
}

func (p *proxies) start(t *testing.T, f *fleet) {
	p.T, p.fleet = t, f
	for i := range p.addrs {
		p.serve(i)
		t.Cleanup(func() { p.ends[i]() })
	}
}

func (p *proxies) serve(i int) {
	p.Helper()
	addr := p.addrs[i]
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	f := p.fleet
	queue, err := redisqueue.New(f.redis.Client(p.T), redisqueue.WithWindow(f.window), redisqueue.WithLimit(f.limit),
		redisqueue.WithFreshStart(), redisqueue.WithObserver(f.sends.note))
	require.NoError(p, err)
	at := f.gateway.GatewayURL()
	proxy, err := gatewayproxy.New(gatewayproxy.One(queue), gatewayproxy.WithGateway(at),
		gatewayproxy.WithHosts(strings.Replace(at, "127.0.0.1", "localhost", 1)), gatewayproxy.WithAPI(f.gateway.URL(), true),
		gatewayproxy.WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(p, err)
	listener, err := net.Listen("tcp", addr)
	require.NoError(p, err)
	p.addrs[i] = listener.Addr().String()
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // until it is closed
	p.ends[i] = func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = listener.Close()
		assert.NoError(p, proxy.Shutdown(ctx))
		assert.NoError(p, errors.Join(server.Close(), queue.Close()))
	}
}

// roll ends a proxy, and starts another in its place.
func (p *proxies) roll(i int) {
	p.Helper()
	p.ends[i]()
	p.serve(i)
}

func liveProxied(t *testing.T, library string) {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	p := fleetPlan(library)
	p.limiter = limiterOwn
	p.shards = 24
	front := &proxies{}
	p.front = front
	f := newFleet(t, p)
	start := time.Now()
	lap := func(what string) {
		t.Logf("%5.1f s %s: %v", time.Since(start).Seconds(), what, f.gateway.Judge().Verdict())
	}

	f.allReady(ctx, t)
	lap("cold start")
	f.assertIdentifies(t, f.shards)
	f.assertPaid(ctx, t, 0)

	resumed := func(what string, before, count int) {
		for f.gateway.Resumes() < before+count {
			require.NoError(t, ctx.Err(), what)
			time.Sleep(5 * time.Millisecond)
		}
		f.allReady(ctx, t)
		lap(what)
		f.assertIdentifies(t, f.shards)
		f.assertPaid(ctx, t, 0)
	}
	before := f.gateway.Resumes()
	require.Equal(t, f.shards, f.gateway.Reconnect())
	resumed("op 7 to all", before, f.shards)
	for i := range front.addrs {
		before, behind := f.gateway.Resumes(), 0
		for j, pod := range f.pods {
			if j%2 == i {
				behind += len(pod.shards)
			}
		}
		front.roll(i)
		resumed("a proxy rolled", before, behind)
	}

	f.gateway.Restart()
	f.allReady(ctx, t)
	lap("restart of all gateways")
	f.assertIdentifies(t, 2*f.shards)
	f.assertPaid(ctx, t, 0)
	verdict := f.gateway.Judge().Verdict()
	assert.Equal(t, f.machine(t), verdict.Violations, "%v", verdict) // 0, as a rule
	assert.Zero(t, verdict.OverBudget, "%v", verdict)
}
