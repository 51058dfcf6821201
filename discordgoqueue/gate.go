// Package discordgoqueue plugs a queue into discordgo: a [Gate] holds every
// IDENTIFY of one discordgo.Session (v0.29.0) until it may leave, without
// importing discordgo.
//
//	gate := discordgoqueue.New(queue, session.ShardID)
//	session.Dialer = &websocket.Dialer{
//		NetDialContext:    gate.DialContext,
//		NetDialTLSContext: gate.DialTLSContext,
//	}
//	session.AddHandler(func(*discordgo.Session, *discordgo.Ready) { gate.Ready() })
//	err := session.Open() // waits for its turn
//	...
//	defer session.Close()
//	defer gate.Close() // before the session: see [Gate.Close]
//
// websocket is gorilla's, and must be v1.5.0 or newer: discordgo itself asks for
// v1.4.2, which has no NetDialTLSContext. Leave the Dialer's HandshakeTimeout at
// 0, because a shard waits for its turn while it dials; the gate has time-outs
// of its own (45 s for the connection, as much for HELLO). Its Proxy must be nil
// (see [WithNetDial]) and its EnableCompression off.
//
// # What it does
//
// discordgo has no hook for IDENTIFY. The gate sits below its WebSocket and
// reads what it sends:
//
//   - Until the first READY every connection will identify. It is dialled under
//     a permit. The window starts when IDENTIFY has left; if the connection
//     fails before, slot and unit go back at once.
//   - After it, discordgo begins each connection with RESUME, and that passes
//     without a permit. So does voice, which dials the same way.
//   - Invalid Session (op 9) is what discordgo answers with IDENTIFY at once, on
//     the open connection. The gate holds that IDENTIFY until it has a permit,
//     and sends heartbeats meanwhile. So a fleet-wide restart, which ends in op 9
//     for every RESUME, comes back one window after another, and a session that
//     is refused again and again spends one unit per window, not hundreds per
//     second.
//
// # What it cannot do
//
//   - While an IDENTIFY is held, discordgo holds locks: nothing else can be sent
//     on that session, and its Close blocks. [Gate.Close] ends that.
//   - A shard that waits in Open cannot be cancelled by discordgo, whose Open
//     takes no context; Gate.Close ends that as well.
//   - discordgo keeps a dead session's ID, and so begins with a RESUME that is
//     refused. That costs a round trip, no unit.
//   - discordgo may close a connection that it has just opened, because a
//     heartbeat on the one before failed while that was being closed: a race of
//     its own (https://github.com/bwmarrin/discordgo/issues/406), which then
//     mostly repeats itself. Each round costs one IDENTIFY and a window: where all
//     gateways restarted in the instant of RESUMED, 4 shards took 9 to 26
//     IDENTIFYs to come back. The queue keeps the window meanwhile, and its
//     breaker bounds what the rounds spend.
package discordgoqueue

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn"
)

// heartbeat is how often a heartbeat is sent while an IDENTIFY is held: well
// below the 41.25 s that Discord asks for.
const heartbeat = 20 * time.Second

// closeTimeout bounds Close.
const closeTimeout = 2 * time.Second

// Gate lets the shard of one discordgo.Session identify when a queue says so.
// Its methods may be called from any number of goroutines.
type Gate struct {
	queue     gatewayqueue.PermitQueue
	shardID   int
	dialer    gatewayconn.Dialer
	heartbeat time.Duration
	log       *slog.Logger

	ctx     context.Context // ends with Close
	cancel  context.CancelCauseFunc
	reports gatewayconn.Reports

	mu    sync.Mutex
	ready bool // there was a READY: discordgo begins with RESUME from now on
}

// Option changes one default of [New].
type Option func(*Gate)

// WithLogger sets where the gate says what it holds and refuses; nowhere by
// default.
func WithLogger(l *slog.Logger) Option { return func(g *Gate) { g.log = l } }

// WithNetDial sets how the gate connects, such as through a proxy: the
// websocket.Dialer's own Proxy must stay nil. The default is a net.Dialer.
func WithNetDial(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(g *Gate) { g.dialer.NetDial = dial }
}

// WithTLSConfig sets the gate's TLS: a websocket.Dialer whose NetDialTLSContext
// is set ignores its own.
func WithTLSConfig(config *tls.Config) Option { return func(g *Gate) { g.dialer.TLS = config } }

// WithHeartbeat sets how often heartbeats are sent while an IDENTIFY is held;
// 20 s by default, more than 0. It is for tests whose gateway wants more of
// them than Discord does.
func WithHeartbeat(d time.Duration) Option { return func(g *Gate) { g.heartbeat = d } }

// New returns a gate for the session of one shard. The queue stays the caller's,
// who closes it after the gate.
func New(queue gatewayqueue.PermitQueue, shardID int, opts ...Option) *Gate {
	g := &Gate{queue: queue, shardID: shardID, heartbeat: heartbeat, log: slog.New(slog.DiscardHandler)}
	for _, opt := range opts {
		opt(g)
	}
	g.log = g.log.With("shard", shardID)
	g.ctx, g.cancel = context.WithCancelCause(context.Background())
	return g
}

// Ready says that the session has had a READY, so that its next connections,
// which resume, need not wait. Without it the gate learns so from the first
// RESUME that it sees, which has then waited in vain; the permit goes back.
func (g *Gate) Ready() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ready = true
}

func (g *Gate) resumes() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ready
}

// Close ends all waits: Open then fails, and an IDENTIFY that was held is not
// sent. Call it before the session's Close, which waits for a session that waits
// here. Connections that resume still pass, but none identifies. Close blocks
// until the queue has heard what became of every permit, 2 s at the most; the
// queue goes on trying then. It may be called again.
func (g *Gate) Close() {
	g.cancel(gatewayqueue.ErrClosed)
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	g.reports.Wait(ctx)
}

// acquire waits for a permit until ctx or the gate ends.
func (g *Gate) acquire(ctx context.Context) (gatewayqueue.Permit, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(g.ctx, func() { cancel(context.Cause(g.ctx)) })
	defer stop()
	if g.ctx.Err() != nil {
		return nil, gatewayqueue.ErrClosed
	}
	return g.queue.Acquire(ctx, g.shardID)
}

// report tells the queue what became of a permit; discordgo need not wait.
func (g *Gate) report(what func(context.Context) error) {
	g.reports.Go(what, func(err error) { g.log.Warn("a permit could not be reported yet", "error", err) })
}
