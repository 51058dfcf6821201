// All at once, and at random: bots of every kind, Discord's outages, and proxies that
// are replaced. Whatever happens, each IDENTIFY has its grant, and all come up.

package gatewayproxy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// rolled is an address behind which proxies are replaced.
type rolled struct {
	now atomic.Pointer[gatewayproxy.Proxy]
}

func (r *rolled) ServeHTTP(w http.ResponseWriter, req *http.Request) { r.now.Load().ServeHTTP(w, req) }

// stormBot is a bot that comes back, whatever happens to it.
type stormBot struct {
	*rand.Rand
	t       *testing.T
	front   string
	shard   int
	shards  int
	wire    wire
	calm    *atomic.Bool // it does nothing of its own accord any more
	session string
	resume  string
	seq     int64
}

// run connects until ctx ends.
func (b *stormBot) run(ctx context.Context) {
	for ctx.Err() == nil {
		address := b.front
		if b.session != "" && b.resume != "" {
			address = b.resume
		}
		if !b.connection(ctx, address) {
			time.Sleep(time.Duration(b.IntN(30)) * time.Millisecond)
		}
	}
}

// connection is one of a bot's, from beginning to end. It reports whether there was one.
func (b *stormBot) connection(ctx context.Context, address string) bool {
	l, err := tryConnect(b.t, address, b.wire)
	if err != nil {
		b.session = "" // as libraries do that try in vain to resume
		return false
	}
	defer func() { _ = l.Close() }()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	begin := func() {
		if b.session != "" {
			_, _ = l.Write(l.frame(0x81, b.wire.resume(b.t, b.session, b.seq)))
		} else {
			_, _ = l.Write(l.frame(0x81, b.wire.identify(b.t, b.shard, b.shards)))
		}
	}
	greeted := b.IntN(4) == 0
	if greeted { // before HELLO
		begin()
	}
	for {
		_ = l.SetReadDeadline(time.Now().Add(time.Duration(5+b.IntN(400)) * time.Millisecond))
		m, err := l.next()
		switch {
		case err != nil && strings.Contains(err.Error(), "timeout"):
			if b.calm.Load() || b.IntN(3) > 0 {
				_, _ = l.Write(l.frame(0x81, b.wire.payload(b.t, 1, nil)))
				continue
			}
			switch b.IntN(4) { // it leaves
			case 0:
				_, _ = l.Write(l.frame(0x88, wsframe.ClosePayload(1000, "")))
				b.session = ""
			case 1:
				_, _ = l.Write(l.frame(0x88, wsframe.ClosePayload(4000, "")))
			case 2:
				l.reset()
			}
			return true
		case err != nil, m.opcode == wsframe.Close:
			if err == nil && wsframe.CloseCode(m.text) >= 4003 && wsframe.CloseCode(m.text) != 4008 {
				b.session = ""
			}
			return true
		case m.opcode >= wsframe.Close:
			continue
		}
		var p payload
		if err := json.Unmarshal(m.text, &p); err != nil {
			b.t.Errorf("no payload: %q", m.text)
			return true
		}
		if p.S != nil {
			b.seq = *p.S
		}
		switch {
		case p.Op == 10 && !greeted:
			begin()
		case p.Op == 7:
			return true
		case p.Op == 9: // on the same connection, or on another one
			if b.session = ""; b.IntN(2) == 0 {
				return true
			}
			begin()
		case p.T == "READY":
			var d struct {
				ID  string `json:"session_id"`
				URL string `json:"resume_gateway_url"`
			}
			_ = json.Unmarshal(p.D, &d)
			b.session, b.resume = d.ID, d.URL
			if !strings.HasPrefix(d.URL, b.front+"/resume/") {
				b.t.Errorf("READY leads past the proxy: %s", d.URL)
			}
		}
	}
}

// tryConnect connects a bot, or not.
func tryConnect(t *testing.T, address string, w wire) (*line, error) {
	host, path, _ := strings.Cut(strings.TrimPrefix(address, "ws://"), "/")
	conn, err := net.DialTimeout("tcp", host, patience)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	l := newLine(t, conn)
	l.r.w = w
	if path != "" {
		path = "/" + path
	}
	_, _ = conn.Write([]byte(upgradeRequest(path+"/?v=10&"+w.query, host)))
	answer, err := http.ReadResponse(l.in, nil)
	if err == nil {
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusSwitchingProtocols {
			err = fmt.Errorf("%s", answer.Status)
		}
	}
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return l, nil
}

func TestStorm(t *testing.T) { // not beside others: they would make it late
	const bots, window = 16, 50 * time.Millisecond
	limit := gatewayqueue.SessionStartLimit{Total: 5000, Remaining: 5000, ResetAfter: 24 * time.Hour, MaxConcurrency: bots}
	discord := gatewaytest.NewServer(gatewaytest.WithLimit(limit), gatewaytest.WithWindow(window), gatewaytest.WithGuilds(1, 40_000), gatewaytest.WithMessages(20*time.Millisecond, 500),
		gatewaytest.WithHosts(2), gatewaytest.WithPayloads(0, 0), gatewaytest.WithFailure(gatewaytest.DropAfterHello, gatewaytest.Chance(0.05, 1)),
		gatewaytest.WithFailure(gatewaytest.RefuseConnection, gatewaytest.Chance(0.05, 2)), gatewaytest.WithFailure(gatewaytest.DropBeforeHello, gatewaytest.Chance(0.05, 3)))
	defer discord.Close()
	queue, err := memqueue.New(limit, memqueue.WithWindow(window+late), memqueue.WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	defer queue.Close()
	left := 0 // IDENTIFYs, of all proxies
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for name, options := range map[string][]gatewayproxy.Option{"dialled at once": nil, "dialled late": {gatewayproxy.WithLateDial(5 * time.Second)}} {
		t.Run(name, func(t *testing.T) {
			hosts := append(discord.Hosts(), discord.GatewayURL(), strings.Replace(discord.GatewayURL(), "127.0.0.1", "localhost", 1))
			road := &rolled{}
			var rolls []*gatewayproxy.Proxy
			roll := func() *gatewayproxy.Proxy {
				proxy, err := gatewayproxy.New(gatewayproxy.One(queue), append(options, gatewayproxy.WithGateway(discord.GatewayURL()), gatewayproxy.WithHosts(hosts...),
					gatewayproxy.WithLogger(slog.New(slog.DiscardHandler)), gatewayproxy.WithLinger(time.Second))...)
				require.NoError(t, err)
				rolls = append(rolls, proxy)
				return road.now.Swap(proxy)
			}
			roll()
			front := httptest.NewServer(road)
			defer front.Close()
			ctx, cancel := context.WithCancel(t.Context())
			calm := &atomic.Bool{}
			var all sync.WaitGroup
			var kinds []wire
			for _, w := range wires {
				if !w.etf() {
					kinds = append(kinds, w)
				}
			}
			for shard := range bots {
				b := &stormBot{Rand: rand.New(rand.NewPCG(seed, uint64(shard))), t: t, front: "ws" + strings.TrimPrefix(front.URL, "http"), shard: shard, shards: bots, wire: kinds[shard%len(kinds)], calm: calm}
				all.Go(func() { b.run(ctx) })
			}
			weather := rand.New(rand.NewPCG(seed, bots))
			for end := time.Now().Add(1200 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Duration(weather.IntN(60)) * time.Millisecond) {
				switch weather.IntN(9) {
				case 0:
					discord.Drop(weather.IntN(2) == 0)
				case 1:
					discord.Restart()
				case 2:
					discord.Invalidate(weather.IntN(2) == 0)
				case 3:
					discord.Reconnect()
				case 4:
					discord.RefuseResumes(100 * time.Millisecond)
				case 5:
					host := weather.IntN(2)
					_, _ = discord.StopHost(host, weather.IntN(2) == 0)
					time.AfterFunc(100*time.Millisecond, func() { _ = discord.StartHost(host) })
				case 6:
					discord.DelayReady(gatewaytest.Fixed(time.Duration(weather.IntN(60)) * time.Millisecond))
				case 7:
					_, _ = discord.CloseShards([]int{1000, 4000, 4008, 4009}[weather.IntN(4)])
				case 8:
					old := roll()
					ctx, cancel := context.WithTimeout(ctx, patience)
					require.NoError(t, old.Shutdown(ctx))
					cancel()
				}
			}
			calm.Store(true)
			soon, done := context.WithTimeout(t.Context(), patience)
			defer done()
			require.NoError(t, discord.WaitReady(soon, bots), "all come up")
			cancel()
			all.Wait()
			require.NoError(t, road.now.Load().Shutdown(t.Context()))
			v := discord.Judge().Verdict()
			require.True(t, v.OK(), "%v", v)
			for _, p := range rolls {
				left += p.Stats().Identifies
			}
			require.LessOrEqual(t, v.Identifies, left, "on a connection that is cut some do not arrive")
			status, err := queue.Status(t.Context())
			require.NoError(t, err)
			require.Equal(t, left, limit.Total-status.Budget.Remaining, "each unit that is spent is an IDENTIFY that has left")
		})
	}
}
