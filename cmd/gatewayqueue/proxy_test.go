// gatewayqueue proxy as built: bots that know nothing of a queue, and what they cost.

package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/balancetest"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// Two proxies behind a balancer, as a Service of Kubernetes has them, on one Redis. Each is
// replaced while 8 shards are connected: they identify once, and never again.
func TestProxy_ARollCostsNoIdentify(t *testing.T) {
	t.Parallel()
	const shards = 8
	d := proxyDiscord(t, 4)
	lb := balancetest.Start(t, "", "")
	url := "redis://" + redistest.Start(t).Addr
	proxies := make([]*served, 2)
	replace := func(i int) {
		name := string(rune('a' + i))
		proxies[i] = startProxy(t, d, nil, "--redis", url, "--fresh-start", "--external", "ws://"+lb.Addr, "--pod", name, "--drain", "100ms")
		lb.Replace(i, proxies[i].addr())
	}
	replace(0)
	replace(1)
	bots := play(t, shards, "ws://"+lb.Addr)
	ready := func() {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, d.WaitReady(ctx, shards))
	}
	ready()
	judged(t, d, shards)
	for i, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM, syscall.SIGKILL} {
		old := proxies[i%2]
		connected := seen(t, old).Stats.Connections
		before := d.Stats().Resumes
		if end == syscall.SIGTERM {
			assert.Zero(t, old.end(end), old.Log())
			assert.Contains(t, old.Log(), "msg=stopped")
		} else {
			old.end(end)
		}
		replace(i % 2)
		require.Eventually(t, func() bool { return d.Stats().Resumes >= before+connected }, time.Minute, 20*time.Millisecond)
		ready()
	}
	judged(t, d, shards)
	assert.Zero(t, d.Stats().RefusedResumes)
	for _, b := range bots {
		readies, _ := b.counts()
		assert.Equal(t, 1, readies)
		assert.Regexp(t, `^ws://`+lb.Addr+`/resume/`, b.resume, "sessions resume through the proxies")
	}
	at := make(map[int]*served)
	require.Eventually(t, func() bool { // Discord's RESUMED may have yet to pass them
		for _, p := range proxies {
			for _, shard := range seen(t, p).Shards {
				if shard.State == gatewayproxy.StateReady {
					at[shard.ID] = p
				}
			}
		}
		return len(at) == shards
	}, time.Minute, 20*time.Millisecond, "each shard is seen at one of them")
	for shard, p := range at {
		code, body := p.get(fmt.Sprintf("/readyz/shard/%d", shard))
		assert.Equal(t, 200, code, body)
	}
}

// proxyView is what GET /v1/shards answers.
type proxyView struct {
	Proxy  string
	Stats  gatewayproxy.Stats
	Shards []gatewayproxy.Shard
}

func seen(t *testing.T, p *served, header ...string) (v proxyView) {
	t.Helper()
	code, body := p.get("/v1/shards", header...)
	require.Equal(t, 200, code)
	require.NoError(t, json.Unmarshal([]byte(body), &v))
	return v
}

// The place of an IDENTIFY that was held by a proxy that is gone lapses, and costs
// nothing.
func TestProxy_KilledWhileItHolds(t *testing.T) {
	t.Parallel()
	d := proxyDiscord(t, 1)
	url := "redis://" + redistest.Start(t).Addr
	a := startProxy(t, d, nil, "--redis", url, "--fresh-start", "--margin", "1s")
	b := startProxy(t, d, nil, "--redis", url, "--fresh-start", "--margin", "1s")
	require.NoError(t, newBot(0, 3).ready(t.Context(), a.gatewayURL()))
	one := newBot(1, 3)
	require.NoError(t, one.dial(t.Context(), a.gatewayURL()))
	require.NoError(t, one.identify(t.Context()))
	require.Eventually(t, func() bool { return seen(t, a).Stats.Held == 1 }, time.Minute, 5*time.Millisecond)
	a.end(syscall.SIGKILL)
	assert.NotEqual(t, websocket.StatusCode(1000), one.closeCode(t.Context()), "cut")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, newBot(2, 3).ready(ctx, b.gatewayURL()))
	judged(t, d, 2)
}

func TestProxy_AWrongTokenSpendsNothing(t *testing.T) {
	t.Parallel()
	d := proxyDiscord(t, 1)
	server := redistest.Start(t)
	app, _, _ := strings.Cut(gatewaytest.DefaultToken, ".")
	for name, where := range map[string][]string{"in memory": nil, "on Redis": {"--redis", "redis://" + server.Addr}} {
		p := startProxy(t, d, nil, where...)
		for _, token := range []string{app + ".wrong.t0ken", "no-t0ken"} {
			b := newBot(0, 1)
			b.token = token
			require.NoError(t, b.dial(t.Context(), p.gatewayURL()))
			require.NoError(t, b.identify(t.Context()))
			assert.Equal(t, websocket.StatusCode(4004), b.closeCode(t.Context()), "%s: %s", name, token)
		}
		assert.Zero(t, p.end(syscall.SIGTERM))
		assert.NotContains(t, p.Log(), "t0ken", name)
	}
	judged(t, d, 0)
	assert.Empty(t, server.Client(t).Keys(t.Context(), "*").Val(), "an invalid token leaves nothing in Redis")
}

// Until Discord has given limits, IDENTIFY is held, and the health routes say so.
func TestProxy_HoldsWhileDiscordGivesNoLimits(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, where []string) {
		d := proxyDiscord(t, 1)
		d.LimitGatewayBot(2 * time.Second)
		p := startProxy(t, d, nil, append(where, "--fresh-start")...)
		_, body := p.get("/readyz")
		assert.Equal(t, "ready\n", body, "nobody has come")
		ended := make(chan error, 1)
		go func() { ended <- newBot(0, 1).ready(t.Context(), p.gatewayURL()) }()
		require.Eventually(t, func() bool {
			code, body := p.get("/readyz")
			return code == 503 && body == "not ready: no limits from Discord yet\n"
		}, time.Minute, 10*time.Millisecond)
		code, body := p.get("/readyz/shard/0")
		assert.Equal(t, 503, code)
		assert.Contains(t, body, "not ready: shard 0 waits for its turn: its IDENTIFY is held since ")
		judged(t, d, 0)
		require.NoError(t, <-ended)
		code, body = p.get("/readyz/shard/0")
		assert.Equal(t, 200, code, body)
		_, body = p.get("/readyz")
		require.Eventually(t, func() bool { _, body = p.get("/readyz"); return body == "ready\n" }, time.Minute, 50*time.Millisecond, body)
		judged(t, d, 1)
	})
}

func TestProxy_WhatIsServedBesideTheGateway(t *testing.T) {
	t.Parallel()
	d := proxyDiscord(t, 1)
	p := startProxy(t, d, nil, "--fresh-start", "--margin", "1m")
	bearer := []string{"Authorization", "Bot " + gatewaytest.DefaultToken}
	assert.Regexp(t, `^http://127\.0\.0\.1:`, p.URL, "loopback, unless told otherwise")
	code, body := p.get("/api/v10/gateway/bot", bearer...)
	assert.Equal(t, 200, code)
	assert.Contains(t, body, `"url":"`+p.gatewayURL()+`"`)
	code, body = p.get("/api/v10/users/@me", bearer...)
	assert.Equal(t, 404, code)
	assert.Contains(t, body, "--api")
	require.NoError(t, newBot(0, 2).ready(t.Context(), p.gatewayURL()))
	one := newBot(1, 2)
	require.NoError(t, one.dial(t.Context(), p.gatewayURL()))
	require.NoError(t, one.identify(t.Context()))
	require.Eventually(t, func() bool { return seen(t, p).Stats.Held == 1 }, time.Minute, 5*time.Millisecond)
	for _, c := range []struct {
		path string
		code int
		want string
	}{
		{"/healthz", 200, "ok\n"},
		{"/readyz", 200, "ready\n"},
		{"/readyz/shard/0", 200, "ready\n"},
		{"/readyz/shard/0?app=123456789012345678", 200, "ready\n"},
		{"/readyz/shard/0?app=1", 503, "not ready: shard 0 has not come through this proxy\n"},
		{"/readyz/shard/1", 503, "not ready: shard 1 waits for its turn: its IDENTIFY is held since "},
		{"/readyz/shard/2", 503, "not ready: shard 2 has not come through this proxy\n"},
		{"/readyz/shard/x", 400, `shard is "x": want a whole number from 0`},
		{"/v1/shards?app=1", 200, `"shards":[]`},
		{"/metrics", 200, "\ngatewayqueue_proxy_connections 2\n"},
		{"/metrics", 200, "\ngatewayqueue_proxy_held 1\n"},
		{"/metrics", 200, "\ngatewayqueue_proxy_identifies_total 1\n"},
		{"/metrics", 200, `gatewayqueue_proxy_shards{state="ready"} 1`},
		{"/metrics", 200, `gatewayqueue_proxy_shards{state="held"} 1`},
		{"/metrics", 200, "\ngatewayqueue_proxy_ready_seconds_count 1\n"},
		{"/metrics", 200, "\ngatewayqueue_proxy_held_seconds_count 1\n"},
		{"/metrics", 200, `gatewayqueue_budget_remaining{app="123456789012345678"} 999`},
		{"/metrics", 200, `gatewayqueue_waiting{app="123456789012345678",bucket="0"} 1`},
		{"/", 426, "this is a gateway proxy"},
		{"/resume/example.org/0", 426, ""},
	} {
		code, body := p.get(c.path)
		assert.Equal(t, c.code, code, c.path)
		assert.Contains(t, body, c.want, c.path)
	}
	assert.Equal(t, 405, p.call("POST", "/readyz", "").code)
	require.NoError(t, one.conn.CloseNow())
	require.Eventually(t, func() bool {
		_, body := p.get("/readyz/shard/1")
		return strings.HasPrefix(body, "not ready: shard 1 has no connection: the last has ended ")
	}, time.Minute, 10*time.Millisecond)
	assert.Zero(t, p.end(syscall.SIGINT), p.Log())
	judged(t, d, 1)

	whole := startProxy(t, d, []string{"GATEWAYQUEUE_API=true", "HOST=203.0.113.1", "PORT=1"}, "--discord-api", d.URL()+"/api/v10/")
	code, body = whole.get("/api/v10/users/@me", bearer...)
	assert.Equal(t, 200, code, body)
	code, body = whole.get("/api/v10/gateway/bot", bearer...)
	assert.Equal(t, 200, code)
	assert.Contains(t, body, `"url":"`+whole.gatewayURL()+`"`)
}

func TestProxy_ASecondSignalEndsItAtOnce(t *testing.T) {
	t.Parallel()
	p := startProxy(t, proxyDiscord(t, 1), nil, "--drain", "10m")
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.Eventually(t, func() bool { return strings.Contains(p.Log(), "msg=stopping") }, time.Minute, 5*time.Millisecond)
	code, body := p.get("/readyz")
	assert.Equal(t, 503, code)
	assert.Equal(t, "not ready: stopping\n", body)
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.read:
	case <-time.After(time.Minute):
		require.Fail(t, "it goes on")
	}
}

// All that a proxy says, in each way in which it can say something.
func TestProxy_NoTokenIsToldToAnybody(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "r3dis-passw0rd")
	client := server.Client(t, func(o *redis.Options) { o.Password = "r3dis-passw0rd" })
	d := proxyDiscord(t, 1)
	p := startProxy(t, d, []string{"REDIS_URL=redis://:r3dis-passw0rd@" + server.Addr, "GATEWAYQUEUE_AUTH_TOKEN=" + authToken},
		"--fresh-start", "--log-level", "debug", "--refresh", "1s")
	bearer := []string{"Authorization", "Bearer " + authToken}
	app, secret, _ := strings.Cut(gatewaytest.DefaultToken, ".")
	for _, path := range []string{"/metrics", "/v1/shards"} {
		code, _ := p.get(path)
		assert.Equal(t, 401, code, path)
	}
	b := newBot(0, 1)
	require.NoError(t, b.ready(t.Context(), p.gatewayURL()))
	require.NoError(t, b.conn.CloseNow())
	require.NoError(t, b.dial(t.Context(), b.resume))
	require.NoError(t, b.sendResume(t.Context()))
	require.NoError(t, b.await(t.Context(), "RESUMED"))
	wrong := newBot(0, 1)
	wrong.token = app + ".wr0ng.t0ken"
	require.NoError(t, wrong.dial(t.Context(), p.gatewayURL()))
	require.NoError(t, wrong.identify(t.Context()))
	assert.Equal(t, websocket.StatusCode(4004), wrong.closeCode(t.Context()))
	broken := newBot(0, 1)
	broken.token = app + ".wr0ng.t0ken\u0000"
	require.NoError(t, broken.dial(t.Context(), p.gatewayURL()))
	require.NoError(t, broken.conn.Write(t.Context(), websocket.MessageText, []byte(`{"op":2,"d":{"token":"`+secret+`","token":"`+secret+`","shard":"`+secret+`"}}`)))
	broken.closeCode(t.Context())
	d.LimitGatewayBot(time.Minute)
	time.Sleep(1500 * time.Millisecond) // the limits are refreshed, and refused
	var said strings.Builder
	look := func() {
		for _, path := range []string{"/metrics", "/v1/shards", "/readyz", "/readyz/shard/0", "/api/v10/gateway", "/"} {
			_, body := p.get(path, bearer...)
			said.WriteString(body)
		}
	}
	look()
	kept := dump(t, client)
	require.NotEmpty(t, kept)
	server.Kill()
	look()
	p.end(syscall.SIGTERM)
	require.Contains(t, p.Log(), "IDENTIFY has left")
	for where, text := range map[string]string{"answers": said.String(), "the log": p.Log(), "Redis": kept} {
		for _, s := range []string{secret, app, "t0ken", "passw0rd"} {
			assert.NotContains(t, text, s, where)
		}
	}
}

// What a proxy on gatewayqueue fake-discord is started with, as --help has it.
func TestProxy_OnFakeDiscord(t *testing.T) {
	t.Parallel()
	d := startDiscord(t, "--window", "300ms", "--max-concurrency", "2")
	p := start(t, program, nil, "proxy", "--port", "0", "--fresh-start", "--window", "300ms", "--margin", "300ms", "--gateway", d.Gateway, "--discord-api", d.API, "--dial", "late")
	for shard := range 2 {
		require.NoError(t, newBot(shard, 2).ready(t.Context(), p.gatewayURL()))
	}
	res, err := http.Get(d.API + "/control/verdict")
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	assert.Equal(t, 200, res.StatusCode, "%s", text)
	assert.Zero(t, p.end(syscall.SIGTERM), p.Log())
}
