// A fleet: processes of one library, with the servers and the fake Discord that
// are theirs alone.

package libraries

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest/zstdstream"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/balancetest"
)

const servers = 2 // of gatewayqueue serve, or proxies

// plan is what a fleet is to go through.
type plan struct {
	shards    int
	processes int // of the bot
	buckets   int // max_concurrency
	window    time.Duration
	slack     time.Duration // that the queue adds to it, for a machine that reads an IDENTIFY late
	heartbeat time.Duration
	latency   time.Duration // until HELLO, at most; a third of it until READY
	transit   time.Duration // of what the bot sends, at most
	line      time.Duration // how long all stand in line
	alone     bool          // without the queue
	proxied   bool          // through proxies, without a line of ours in the bot
}

type fleet struct {
	library
	plan
	stage *stage
	app   string // in the Redis that all share
	limit gatewayqueue.SessionStartLimit

	discord  *gatewaytest.Server
	servers  []*process
	balancer *balancetest.Balancer
	proxies  []*process // behind the balancer, in the place of servers
	started  atomic.Int64
	tlsPort  string    // where TLS ends in front of the balancer
	queue    testQueue // the test's own
	bots     []*process
}

// testQueue is what the test does and sees in the queue of the fleet.
type testQueue interface {
	gatewayqueue.PermitQueue
	gatewayqueue.StatusReader
}

// firstApp is below the application IDs of the fleets, which share one Redis.
const firstApp = 123456789012345678

var apps atomic.Int64

// newFleet starts servers and the fake Discord, not yet the bots.
func newFleet(t *testing.T, s *stage, l library, p plan) *fleet {
	t.Helper()
	f := &fleet{library: l, plan: p, stage: s, app: strconv.FormatInt(firstApp+apps.Add(1), 10)}
	f.limit = gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, ResetAfter: 24 * time.Hour, MaxConcurrency: f.buckets}
	f.discord = gatewaytest.NewServer(
		gatewaytest.WithToken(base64.RawStdEncoding.EncodeToString([]byte(f.app))+".gateway.test"),
		gatewaytest.WithLimit(f.limit), gatewaytest.WithShards(p.shards), gatewaytest.WithWindow(p.window),
		gatewaytest.WithHeartbeat(p.heartbeat), gatewaytest.WithTLS(s.tls), gatewaytest.WithZstd(zstdstream.New),
		gatewaytest.WithLatency(gatewaytest.Between(p.latency/30, p.latency, 1)),
		gatewaytest.WithTransit(gatewaytest.Between(0, p.transit, 3)),
		gatewaytest.WithReadyDelay(gatewaytest.Between(p.latency/30, p.latency/3, 2)),
	)
	t.Cleanup(f.discord.Close)
	switch {
	case p.alone:
		return f
	case p.proxied:
		f.startProxies(t)
		return f
	}
	targets := make([]string, servers)
	f.servers = make([]*process, servers)
	for i := range servers {
		f.servers[i] = f.startServer(t, i)
	}
	for i, server := range f.servers {
		targets[i] = server.address(t)
	}
	f.balancer = balancetest.Start(t, targets...)
	queue, err := httpqueue.NewClient("http://" + f.balancer.Addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = queue.Close() })
	f.queue = queue
	return f
}

func (f *fleet) startServer(t *testing.T, i int) *process {
	t.Helper()
	return start(t, f.stage.dir, nil, f.stage.program, "serve", "--port", "0", "--fresh-start",
		"--redis", "redis://"+f.stage.redis.Addr, "--app", f.app, "--pod", fmt.Sprintf("server-%d", i),
		"--max-concurrency", strconv.Itoa(f.buckets), "--total", strconv.Itoa(f.limit.Total), "--window", (f.window + f.slack).String())
}

// replaceServer ends a server and starts another in its place.
func (f *fleet) replaceServer(t *testing.T, i int, signal syscall.Signal) {
	t.Helper()
	f.servers[i].end(signal)
	f.servers[i] = f.startServer(t, i)
	f.balancer.Replace(i, f.servers[i].address(t))
}

// startBots starts the library's processes, each with its share of the shards.
func (f *fleet) startBots(t *testing.T) {
	t.Helper()
	each := f.shards / f.processes
	for i := range f.processes {
		own := make([]int, each)
		for j := range own {
			own[j] = i*each + j
		}
		f.bots = append(f.bots, f.startBot(t, own))
	}
}

// program is the page's, made a bot of these shards.
func (f *fleet) program(t *testing.T, shards []int) string {
	t.Helper()
	text := f.stage.page.block(t, f.section, f.language())
	for _, e := range f.edits {
		require.Contains(t, text, e.from)
		text = strings.ReplaceAll(text, e.from, e.to)
	}
	switch {
	case f.alone:
		text = without(text)
	case f.proxied:
		text = f.throughProxy(t, without(text))
	default:
		text = strings.ReplaceAll(text, queueURL, "http://"+f.balancer.Addr)
	}
	list, err := json.Marshal(shards)
	require.NoError(t, err)
	values := fmt.Sprintf("token = %q; shards = %s; count = %d\n", f.discord.Token(), list, f.shards)
	if !f.python {
		return "const " + strings.ReplaceAll(values, "; ", "; const ") + text
	}
	// discord.py finds Discord by two names of its own.
	return values + fmt.Sprintf("import discord, yarl\ndiscord.http.Route.BASE = %q\n"+
		"discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(%q)\n", f.discord.URL()+"/api/v10", f.discord.GatewayURL()) + text
}

func (f *fleet) startBot(t *testing.T, shards []int) *process {
	t.Helper()
	_, port, _ := strings.Cut(strings.TrimPrefix(f.discord.URL(), "https://"), ":")
	world, err := filepath.Abs("world.mjs")
	require.NoError(t, err)
	dir := f.stage.bots()
	file, err := os.CreateTemp(dir, map[bool]string{true: "bot-*.py", false: "bot-*.mjs"}[f.python])
	require.NoError(t, err)
	_, err = file.WriteString(f.program(t, shards))
	require.NoError(t, err)
	require.NoError(t, file.Close())

	if f.python {
		source, err := filepath.Abs("../../../clients/python/src")
		require.NoError(t, err)
		return start(t, dir, []string{"PYTHONPATH=" + source, "SSL_CERT_FILE=" + f.stage.roots}, f.stage.python, "-B", file.Name())
	}
	env := []string{"FAKE_DISCORD=" + port, "NODE_EXTRA_CA_CERTS=" + f.stage.roots, "NODE_OPTIONS=--import=" + world}
	if f.proxied {
		env = append(env, "FAKE_PROXY="+f.tlsPort)
	}
	command := "node bot.mjs"
	if f.gate && !f.alone && !f.proxied {
		command = strings.ReplaceAll(f.stage.page.block(t, gateSection, "sh"), queueURL, "http://"+f.balancer.Addr)
	}
	require.Contains(t, command, "bot.mjs")
	command = strings.Replace(command, "node ", "exec node ", 1)
	return start(t, dir, env, "sh", "-c", strings.ReplaceAll(command, "bot.mjs", filepath.Base(file.Name())))
}

// until waits until a condition holds. A time that is over is a failure, with all
// there is to know.
func (f *fleet) until(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.describe(t)
			t.Fatalf("not so after 3 minutes: %s", what)
		}
		for i, bot := range f.bots {
			select {
			case <-bot.ended:
				t.Fatalf("bot %d has ended before it was so that %s: %s", i, what, bot.said())
			default:
			}
		}
	}
}

// describe logs what there is to know of the fleet.
func (f *fleet) describe(t *testing.T) {
	t.Helper()
	t.Logf("ready are %v; %v; %+v", f.discord.ReadyShards(), f.discord.Judge().Verdict(), f.discord.Stats())
	if f.queue != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		status, err := f.queue.Status(ctx)
		t.Logf("the queue: %+v, %v", status, err)
	}
	for i, bot := range f.bots {
		t.Logf("bot %d said: %s", i, bot.said())
	}
	for i, server := range f.servers {
		t.Logf("server %d said: %s", i, server.said())
	}
	for i, p := range f.proxies {
		t.Logf("proxy %d said: %s", i, p.said())
	}
}

// status is the queue's, from whichever server answers.
func (f *fleet) status(t *testing.T) gatewayqueue.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	status, err := f.queue.Status(ctx)
	require.NoError(t, err)
	return status
}

// waiting is how many stand in line.
func (f *fleet) waiting(t *testing.T) (n int) {
	t.Helper()
	for _, bucket := range f.status(t).Buckets {
		n += bucket.Waiting
	}
	return n
}

// units is how many the queue has granted and not taken back.
func (f *fleet) units(t *testing.T) int {
	t.Helper()
	budget := f.status(t).Budget
	return budget.Total - budget.Remaining
}

// hold is every bucket's permit, so that lines form.
type hold struct {
	f       *fleet
	permits []gatewayqueue.Permit
	next    chan gatewayqueue.Permit // of those who stand first in line, if any
}

func (f *fleet) hold(t *testing.T) *hold {
	t.Helper()
	h := &hold{f: f, next: make(chan gatewayqueue.Permit, f.buckets)}
	for bucket := range f.buckets {
		permit, err := f.queue.Acquire(t.Context(), bucket)
		require.NoError(t, err)
		h.permits = append(h.permits, permit)
	}
	return h
}

// twice puts a second holder first in every line, since a permit cannot be held for
// longer than 2 minutes: see renew.
func (h *hold) twice(t *testing.T) {
	t.Helper()
	for bucket := range h.f.buckets {
		go func() {
			permit, _ := h.f.queue.Acquire(t.Context(), bucket) // nil shows in renew
			h.next <- permit
		}()
	}
	h.f.until(t, "the second holders stand in line", func() bool { return h.f.waiting(t) == h.f.buckets })
}

// renew passes the buckets on to the second holders.
func (h *hold) renew(t *testing.T) {
	t.Helper()
	h.release(t)
	for bucket := range h.permits {
		h.permits[bucket] = <-h.next
		require.NotNil(t, h.permits[bucket])
	}
}

func (h *hold) release(t *testing.T) {
	t.Helper()
	for _, permit := range h.permits {
		require.True(t, time.Now().Before(permit.Deadline()), "the machine stood still, or all took too long: a permit of the test has lapsed")
		require.NoError(t, permit.Abandon(t.Context()))
	}
}
