// Queues that the test grants by hand.

package gatewayproxy_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
)

// gate is a queue that grants when the test says so, and keeps places.
type gate struct {
	grants chan struct{}

	mu         sync.Mutex
	waiting    int
	asked      []ask
	identified int
	abandoned  int
}

// ask is one call: who, and from which place.
type ask struct {
	shard int
	since time.Time
	told  time.Time // the place that it was told
}

func newGate() *gate { return &gate{grants: make(chan struct{}, 1000)} }

func (g *gate) queues() gatewayproxy.Queues { return gatewayproxy.One(g) }

// grant grants one.
func (g *gate) grant() { g.grants <- struct{}{} }

func (g *gate) Wait(ctx context.Context, shard int) error {
	_, err := g.Acquire(ctx, shard)
	return err
}

func (g *gate) Acquire(ctx context.Context, shard int) (gatewayqueue.Permit, error) {
	return g.AcquireSince(ctx, shard, time.Time{}, nil)
}

func (g *gate) AcquireSince(ctx context.Context, shard int, since time.Time, placed func(time.Time) bool) (gatewayqueue.Permit, error) {
	one := ask{shard, since, since}
	if since.IsZero() {
		one.told = time.Now()
	}
	if placed != nil {
		placed(one.told)
	}
	g.mu.Lock()
	g.asked = append(g.asked, one)
	g.waiting++
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.waiting--
	}()
	select {
	case <-g.grants:
		return &gatePermit{g: g}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// gatePermit is one of a gate's.
type gatePermit struct {
	g    *gate
	once sync.Once
}

func (p *gatePermit) settle(which *int) error {
	p.once.Do(func() {
		p.g.mu.Lock()
		defer p.g.mu.Unlock()
		*which++
	})
	return nil
}

func (p *gatePermit) Identified(context.Context) error { return p.settle(&p.g.identified) }
func (p *gatePermit) Abandon(context.Context) error    { return p.settle(&p.g.abandoned) }
func (p *gatePermit) Deadline() time.Time              { return time.Now().Add(time.Hour) }

// waits blocks until so many wait.
func (g *gate) waits(t *testing.T, n int) {
	t.Helper()
	eventually(t, func() bool { g.mu.Lock(); defer g.mu.Unlock(); return g.waiting == n }, "%d that wait", n)
}

// settled blocks until so many permits were used, and given back.
func (g *gate) settled(t *testing.T, identified, abandoned int) {
	t.Helper()
	eventually(t, func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.identified == identified && g.abandoned == abandoned
	}, "%d permits used and %d given back", identified, abandoned)
}

func (g *gate) calls() []ask {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]ask(nil), g.asked...)
}

// eventually waits for what must come true.
func eventually(t *testing.T, ok func() bool, format string, args ...any) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		require.True(t, time.Now().Before(deadline), append([]any{"waiting for " + format}, args...)...)
	}
}

// behind is a stage whose Discord is a gateway that the test plays, and whose queue is
// one that it grants.
func behind(t *testing.T, more ...gatewayproxy.Option) (*stage, *fakeGateway, *gate) {
	t.Helper()
	g, q := newGateway(t), newGate()
	options := append([]gatewayproxy.Option{gatewayproxy.WithGateway(g.url)}, more...)
	return newStage(t, settings{proxy: options, queues: q.queues()}), g, q
}

// holding connects a bot whose IDENTIFY is held.
func holding(s *stage, g *fakeGateway, q *gate, w wire) (bot, discord *line) {
	s.Helper()
	bot = s.raw(s.url, w)
	discord = g.accepts()
	discord.put(discord.frame(0x81, []byte(hello)))
	bot.wantText("heartbeat_interval")
	bot.send(identify(0, 1, ""))
	q.waits(s.T, 1)
	return bot, discord
}

// nothing checks that no message comes for a moment: a slow machine finds less, and
// never what is not there.
func (l *line) nothing(for_ time.Duration) {
	l.Helper()
	require.NoError(l, l.SetReadDeadline(time.Now().Add(for_)))
	m, err := l.next()
	require.Error(l, err, "something has come: %d %q", m.opcode, m.text)
	require.ErrorContains(l, err, "timeout", "it has ended")
	require.NoError(l, l.SetReadDeadline(time.Now().Add(patience)))
}
