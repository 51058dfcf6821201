package faults

// Faults on both ways of proxies: to Redis and to Discord.

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/child"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

const (
	proxyShards  = 12
	proxyBuckets = 2
	proxyWindow  = 400 * time.Millisecond
	proxyFaults  = 9 * time.Second // how long there are any
)

// legFaults are what can happen to either way of a proxy.
var legFaults = map[string]func(l *link, random *rand.Rand) func(){
	"slow": func(l *link, random *rand.Rand) func() {
		ms := random.Int64N(300)
		up := l.poisoned("latency", "upstream", map[string]any{"latency": ms, "jitter": ms})
		down := l.poisoned("latency", "downstream", map[string]any{"latency": ms, "jitter": ms})
		return func() { up(); down() }
	},
	"half open":               func(l *link, _ *rand.Rand) func() { return l.poisoned("timeout", "downstream", nil) },
	"half open the other way": func(l *link, _ *rand.Rand) func() { return l.poisoned("timeout", "upstream", nil) },
	"reset":                   func(l *link, _ *rand.Rand) func() { return l.poisoned("reset_peer", "downstream", nil) },
	"stalled": func(l *link, _ *rand.Rand) func() {
		return l.poisoned("bandwidth", "upstream", map[string]any{"rate": 0})
	},
	"a trickle": func(l *link, _ *rand.Rand) func() {
		return l.poisoned("slicer", "downstream", map[string]any{"average_size": 8, "size_variation": 4, "delay": 3000})
	},
	"refused":      func(l *link, _ *rand.Rand) func() { return l.refuse() },
	"replies lost": func(l *link, _ *rand.Rand) func() { return l.losing(0, 0.1, 0.5) },
}

// proxyFleet is two proxies, their ways, and what they said.
type proxyFleet struct {
	*testing.T
	seed           uint64
	discord        *gatewaytest.Server
	redis          *redistest.Server
	toRedis, toDis [2]*link
	configs        [2]proxyConfig

	mu     sync.Mutex
	cmds   [2]*exec.Cmd
	ended  [2]chan struct{}
	events []event
	logs   [2]strings.Builder
	heard  sync.WaitGroup
}

func TestNoFaultOnEitherWayOfAProxyBreaksARule(t *testing.T) {
	t.Parallel()
	if !supported {
		t.Skip("the fault suite needs Linux: processes that share a clock and die together")
	}
	limit := gatewayqueue.SessionStartLimit{Total: 500, Remaining: 500, ResetAfter: time.Hour, MaxConcurrency: proxyBuckets}
	f := &proxyFleet{T: t, seed: 20261126 + *soakSeed, redis: redistest.Start(t)}
	// The judge that counts is ours, which knows when an IDENTIFY left: a way that is
	// slow, or stands still, brings two of them closer together.
	f.discord = gatewaytest.NewServer(gatewaytest.WithLimit(limit), gatewaytest.WithWindow(proxyWindow/100),
		gatewaytest.WithHeartbeat(time.Second), gatewaytest.WithReadyDelay(gatewaytest.Between(0, 50*time.Millisecond, 1)))
	t.Cleanup(f.discord.Close)
	for i := range f.configs {
		f.toRedis[i] = newLink(t, newLossy(t, f.redis.Addr))
		f.toDis[i] = newLink(t, newLossy(t, strings.TrimPrefix(f.discord.GatewayURL(), "ws://")))
		f.configs[i] = proxyConfig{
			Name: fmt.Sprintf("proxy-%d", i), Listen: freeAddr(t), Redis: f.toRedis[i].addr,
			Gateway: f.discord.GatewayURL(), Discord: f.toDis[i].addr, Window: proxyWindow, Limit: limit,
		}
		f.start(i)
	}
	t.Cleanup(f.end)

	ctx, cancel := context.WithCancel(t.Context())
	var bots sync.WaitGroup
	t.Cleanup(bots.Wait)
	t.Cleanup(cancel)
	var restless atomic.Bool
	restless.Store(true)
	for shard := range proxyShards {
		b := &proxyBot{shard: shard, count: proxyShards, random: rand.New(rand.NewPCG(f.seed, uint64(shard))), restless: &restless}
		for i := range f.configs {
			b.addrs = append(b.addrs, "ws://"+f.configs[(shard+i)%2].Listen)
		}
		bots.Go(func() { b.live(ctx) })
	}

	kills := f.torment()
	restless.Store(false)
	quiet, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	begun := time.Now()
	if err := f.discord.WaitReady(quiet, proxyShards); err != nil {
		t.Errorf("ready are %v a minute after the faults, and %v", f.discord.ReadyShards(), f.discord.Stats())
	}
	took := time.Since(begun)
	cancel()
	bots.Wait()
	units := f.units(limit)
	f.end()

	all := identifies(f.events)
	for _, v := range violations(all, proxyWindow, []int{proxyBuckets}) {
		t.Errorf("violation: %s", v)
	}
	verdict := f.discord.Judge().Verdict()
	assert.Zero(t, verdict.OverBudget, "over the budget")
	assert.GreaterOrEqual(t, units, len(all), "an IDENTIFY that no unit was spent for")
	assert.GreaterOrEqual(t, units, verdict.Identifies, "the same, as Discord counts")
	// An IDENTIFY that has left, and that nobody heard of, was killed with its proxy.
	assert.LessOrEqual(t, verdict.Identifies, len(all)+kills*proxyBuckets)
	t.Logf("seed %d: %d identifies left, %d came, %d units, all ready %v after the faults; least gap %v; %+v", f.seed, len(all), verdict.Identifies, units,
		took.Round(time.Millisecond), leastGap(all), f.discord.Stats())
	if t.Failed() {
		for i := range f.logs {
			t.Logf("proxy %d said:\n%s", i, f.logs[i].String())
		}
	}
}

func freeAddr(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// start starts a proxy's process; it ends with the test.
func (f *proxyFleet) start(i int) {
	f.Helper()
	text, err := json.Marshal(f.configs[i])
	require.NoError(f, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), proxyVar+"="+string(text))
	stdout, err := cmd.StdoutPipe()
	require.NoError(f, err)
	stderr, err := cmd.StderrPipe()
	require.NoError(f, err)
	require.NoError(f, child.Start(cmd))
	f.mu.Lock()
	ended := make(chan struct{})
	f.cmds[i], f.ended[i] = cmd, ended
	f.mu.Unlock()
	f.heard.Go(func() {
		defer close(ended)
		f.listen(i, stdout, stderr)
		_ = cmd.Wait() // It was killed, or told to end.
	})
}

func (f *proxyFleet) listen(i int, stdout, stderr io.Reader) {
	var both sync.WaitGroup
	both.Go(func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			f.mu.Lock()
			f.logs[i].WriteString(lines.Text() + "\n")
			f.mu.Unlock()
		}
	})
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		e, err := parseEvent(f.configs[i].Name, lines.Text())
		if err != nil {
			continue // cut by a kill
		}
		f.mu.Lock()
		f.events = append(f.events, e)
		f.mu.Unlock()
	}
	both.Wait()
}

func (f *proxyFleet) signal(i int, s syscall.Signal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.cmds[i].Process.Signal(s) // It may have ended.
}

// end ends both proxies, and waits for all they said.
func (f *proxyFleet) end() {
	for i := range f.cmds {
		f.signal(i, syscall.SIGTERM)
	}
	f.heard.Wait()
}

// torment lets faults happen for a while, on both ways at a time, kills proxies, and
// has Discord end sessions. It returns how many proxies were killed.
func (f *proxyFleet) torment() (kills int) {
	ctx, cancel := context.WithTimeout(f.Context(), proxyFaults)
	defer cancel()
	sleep := func(ctx context.Context, d time.Duration) {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	var all sync.WaitGroup
	for leg, links := range [][2]*link{f.toRedis, f.toDis} {
		all.Go(func() {
			random := rand.New(rand.NewPCG(f.seed, 100+uint64(leg)))
			names := make([]string, 0, len(legFaults))
			for name := range legFaults {
				names = append(names, name)
			}
			// In an order of the seed's, and each once before one comes again.
			sortShuffled(names, random)
			for n := 0; ctx.Err() == nil; n++ {
				name := names[n%len(names)]
				which := random.IntN(3) // one, the other, or both
				var undo []func()
				for i, l := range links {
					if which == i || which == 2 {
						undo = append(undo, legFaults[name](l, random))
					}
				}
				sleep(ctx, time.Duration(300+random.IntN(700))*time.Millisecond)
				for _, end := range undo {
					end()
				}
				sleep(ctx, time.Duration(random.IntN(400))*time.Millisecond)
			}
		})
	}
	all.Go(func() {
		random := rand.New(rand.NewPCG(f.seed, 200))
		for n := 0; ctx.Err() == nil; n++ {
			sleep(ctx, time.Duration(700+random.IntN(900))*time.Millisecond)
			switch n % 3 {
			case 0:
				f.discord.Restart()
			case 1:
				f.discord.Invalidate(random.IntN(2) == 0, random.IntN(proxyShards), random.IntN(proxyShards))
			case 2:
				f.discord.Reconnect()
			}
		}
	})
	all.Go(func() {
		random := rand.New(rand.NewPCG(f.seed, 300))
		for n := 0; ; n++ {
			sleep(ctx, time.Duration(1500+random.IntN(1000))*time.Millisecond)
			if ctx.Err() != nil {
				return
			}
			which := random.IntN(2)
			signal := syscall.SIGKILL
			if n%3 == 2 {
				signal = syscall.SIGTERM
			} else {
				kills++
			}
			f.mu.Lock()
			ended := f.ended[which]
			f.mu.Unlock()
			f.signal(which, signal)
			<-ended
			sleep(ctx, time.Duration(random.IntN(600))*time.Millisecond)
			f.start(which)
		}
	})
	all.Wait()
	return kills
}

// sortShuffled puts names into an order that depends on random alone.
func sortShuffled(names []string, random *rand.Rand) {
	slices.Sort(names)
	random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
}

// units is how many the queue has spent.
func (f *proxyFleet) units(limit gatewayqueue.SessionStartLimit) int {
	f.Helper()
	queue, err := redisqueue.New(f.redis.Client(f), redisqueue.WithPod("test"), redisqueue.WithWindow(proxyWindow), redisqueue.WithLimit(limit))
	require.NoError(f, err)
	defer func() { _ = queue.Close() }()
	status, err := queue.Status(f.Context())
	require.NoError(f, err)
	return status.Budget.Total - status.Budget.Remaining
}
