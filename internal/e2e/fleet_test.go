// A fleet, as seen from outside: pods, their Redis and the fake gateway.

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest/zstdstream"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// readyTimeout bounds how long a fleet may take to come up, on a slow machine
// and after disgo's pauses of up to a minute.
const readyTimeout = 100 * time.Second

// plan is what a fleet is to be.
type plan struct {
	library string
	limiter string
	window  time.Duration // latency is scaled with it: 50 to 1500 ms at Discord's 5 s
	pods    int
	shards  int
	limit   gatewayqueue.SessionStartLimit
	front   *proxies // that the pods connect to, if any
}

func (p plan) at(ms float64) time.Duration {
	return time.Duration(ms / 5000 * float64(p.window))
}

type fleet struct {
	plan
	gateway *gatewaytest.Server
	redis   *redistest.Server
	queue   *redisqueue.RedisQueue // the test's own, to look at
	pods    []*pod
	started int
	origin  time.Time // of the judge's times
	sends   sends
}

// pod is a running process.
type pod struct {
	name   string
	shards []int
	cmd    *exec.Cmd
	stdin  io.Closer
	output *bytes.Buffer
	wait   func() error // for the end; may be called again
}

// newFleet starts a gateway, with opts over the plan's settings, and the pods.
func newFleet(t *testing.T, p plan, opts ...gatewaytest.Option) *fleet {
	t.Helper()
	f := &fleet{plan: p, redis: redistest.Start(t), sends: sends{at: make(map[int][]time.Time)}}
	f.origin = time.Now()
	f.gateway = gatewaytest.NewServer(append([]gatewaytest.Option{
		gatewaytest.WithLimit(p.limit),
		gatewaytest.WithShards(p.shards),
		gatewaytest.WithWindow(p.window),
		gatewaytest.WithLatency(gatewaytest.Between(p.at(50), p.at(1500), 1)),
		gatewaytest.WithTransit(gatewaytest.Between(0, p.at(50), 2)),
		gatewaytest.WithReadyDelay(gatewaytest.Between(p.at(100), p.at(500), 3)),
		gatewaytest.WithZstd(zstdstream.New), // which disgo asks for
	}, opts...)...)
	t.Cleanup(f.gateway.Close)
	var err error
	f.queue, err = redisqueue.New(f.redis.Client(t), redisqueue.WithPod("test"),
		redisqueue.WithWindow(p.window), redisqueue.WithLimit(p.limit))
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.queue.Close() })
	if p.front != nil {
		p.front.start(t, f)
	}
	for i := range p.pods {
		f.pods = append(f.pods, f.start(t, f.share(i)))
	}
	return f
}

// share is the shards of the i-th pod: every pod has some in every bucket.
func (f *fleet) share(i int) (own []int) {
	for shard := range f.shards {
		if (shard+shard/f.limit.MaxConcurrency)%f.plan.pods == i {
			own = append(own, shard)
		}
	}
	return own
}

// start starts a pod. It ends with the test: its standard input does.
func (f *fleet) start(t *testing.T, shards []int) *pod {
	t.Helper()
	f.started++
	config := podConfig{
		Name: fmt.Sprintf("pod-%d", f.started), Library: f.library, Limiter: f.limiter,
		Redis: f.redis.Addr, URL: f.gateway.URL(), Token: f.gateway.Token(),
		Shards: shards, ShardCount: f.shards, Window: f.window, Limit: f.limit, FreshStart: true,
	}
	if f.front != nil {
		config.URL = "http://" + f.front.addrs[(f.started-1)%len(f.front.addrs)]
	}
	encoded, err := json.Marshal(config)
	require.NoError(t, err)
	p := &pod{name: config.Name, shards: shards, cmd: exec.Command(os.Args[0]), output: new(bytes.Buffer)}
	p.cmd.Env = append(os.Environ(), podVar+"="+string(encoded))
	p.cmd.Stdout, p.cmd.Stderr = f.sends.of(), p.output
	p.stdin, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	p.wait = sync.OnceValue(p.cmd.Wait)
	t.Cleanup(func() {
		_ = p.stdin.Close()
		kill := time.AfterFunc(2*closeTimeout, func() { _ = p.cmd.Process.Kill() })
		defer kill.Stop()
		_ = p.wait()
		if t.Failed() && p.output.Len() > 0 {
			t.Logf("%s said:\n%s", p.name, p.output)
		}
	})
	return p
}

// close lets a pod end in order.
func (p *pod) close(t *testing.T) {
	t.Helper()
	require.NoError(t, p.stdin.Close())
	require.NoError(t, p.wait(), "%s said:\n%s", p.name, p.output)
}

// kill ends a pod as a crash does.
func (p *pod) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Kill())
	_ = p.wait() // its error is that it was killed
}

// replace starts a pod for the shards of the i-th, which has ended.
func (f *fleet) replace(t *testing.T, i int) {
	t.Helper()
	f.pods[i] = f.start(t, f.pods[i].shards)
}

// allReady waits until every shard is ready at once.
func (f *fleet) allReady(ctx context.Context, t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	slow := time.AfterFunc(readyTimeout/4, func() { f.describe(t) })
	defer slow.Stop()
	if err := f.gateway.WaitReady(ctx, f.shards); err != nil {
		f.describe(t)
		t.Fatal(err)
	}
}

// describe logs what there is to know of a fleet that does not come up.
func (f *fleet) describe(t *testing.T) {
	status, err := f.queue.Status(context.Background())
	t.Logf("ready are %v; %v; %+v; the queue (%v): %+v", f.gateway.ReadyShards(),
		f.gateway.Judge().Verdict(), f.gateway.Stats(), err, status)
}

// allGone waits until none of some shards is ready.
func (f *fleet) allGone(ctx context.Context, t *testing.T, shards []int) {
	t.Helper()
	gone := func() bool {
		return !slices.ContainsFunc(f.gateway.ReadyShards(), func(s int) bool { return slices.Contains(shards, s) })
	}
	for !gone() {
		require.NoError(t, ctx.Err())
		time.Sleep(5 * time.Millisecond)
	}
}

// identifies waits until the gateway has seen n identifies.
func (f *fleet) identifies(ctx context.Context, t *testing.T, n int) {
	t.Helper()
	for f.gateway.Judge().Verdict().Identifies < n {
		require.NoError(t, ctx.Err())
		time.Sleep(5 * time.Millisecond)
	}
}

// spent is how many units the queue has granted and not taken back.
func (f *fleet) spent(ctx context.Context, t *testing.T) int {
	t.Helper()
	status, err := f.queue.Status(ctx)
	require.NoError(t, err)
	n := 0
	for _, units := range status.Spent {
		n += units
	}
	require.Equal(t, f.limit.Remaining-status.Budget.Remaining, n)
	return n
}
