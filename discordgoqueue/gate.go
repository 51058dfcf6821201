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
// v1.4.2, which has no NetDialTLSContext.
//
// # The Dialer's other fields
//
//   - Proxy must be nil: IDENTIFY would be out of the gate's sight. The gate takes
//     the proxy that the environment names (HTTPS_PROXY and NO_PROXY), as
//     discordgo's own dialer does; see [WithProxy].
//   - TLSClientConfig is ignored by gorilla where NetDialTLSContext is set; see
//     [WithTLSConfig]. So are NetDial and a NetDialContext of your own; see
//     [WithNetDial].
//   - HandshakeTimeout bounds the wait in line as well, because a shard waits
//     while it dials: leave it at 0. The gate has time-outs of its own, 45 s for
//     the connection and as much until HELLO.
//   - EnableCompression has no effect: the gate does not let the request ask for
//     it, because it would hide IDENTIFY.
//   - Jar, Subprotocols, the buffers' sizes and their pool work as ever.
//
// # What it does
//
// discordgo has no hook for IDENTIFY. The gate sits below its WebSocket and
// reads what it sends:
//
//   - Until the first READY every connection will identify. It is dialled under
//     a permit. The window starts when IDENTIFY has arrived; if the connection
//     fails before it has left, slot and unit go back at once.
//
//   - After it, discordgo begins each connection with RESUME, and that passes
//     without a permit. So does voice at any time, which dials the same way.
//
//   - Invalid Session (op 9) is what discordgo answers with IDENTIFY at once, on
//     the open connection. The gate holds that IDENTIFY until it has a permit,
//     and sends heartbeats meanwhile. So a fleet-wide restart, which ends in op 9
//     for every RESUME, comes back one window after another, and a session that
//     is refused again and again spends one unit per window, not hundreds per
//     second.
//
//   - An IDENTIFY that is held leaves the line when its connection ends: when
//     Discord closes it, sends Reconnect (op 7) or says nothing for 40 s. It is
//     written only while its permit lasts, and counts from when it has arrived.
//
//   - discordgo takes a connection for dead that it could not send a heartbeat on
//     for five intervals. So an IDENTIFY is held for three of them at most, 2 min:
//     then the gate closes the connection, keeps the place in line, and holds the
//     next connection before it is dialled.
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
//     its own (https://github.com/bwmarrin/discordgo/issues/406), which mostly
//     repeated itself, at the price of an IDENTIFY and a window each time. Where
//     the gate sees it, or has reason to expect it, the next connection is
//     refused once; that ends it, and costs a second.
package discordgoqueue

import (
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn"
)

// heartbeat is how often a heartbeat is sent while an IDENTIFY is held, at most:
// Discord asks for one in 41.25 s, and what its HELLO asks for is kept.
const heartbeat = 20 * time.Second

// silence is the least time without a word from the gateway after which an
// IDENTIFY that is held is given up, however often heartbeats are sent.
const silence = 10 * time.Second

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
	sends   gatewayconn.Sends
	reports gatewayconn.Reports

	mu      sync.Mutex
	ready   bool               // there was a READY: discordgo begins with RESUME from now on
	refused bool               // that RESUME will be refused: wait in line before the dial
	kept    *place             // in line, for the next connection
	refuse  time.Time          // since when the next connection is to fail; see refuses
	unused  map[*link]struct{} // connections that hold a permit
}

// Option changes one default of [New].
type Option func(*Gate)

// WithLogger sets where the gate says what it holds and refuses; nowhere by
// default.
func WithLogger(l *slog.Logger) Option { return func(g *Gate) { g.log = l } }

// WithProxy sets through which proxy the gate connects, as the Proxy of a
// websocket.Dialer does, which must stay nil. The default is
// [http.ProxyFromEnvironment], or no proxy where [WithNetDial] is given; nil is no proxy.
// It is asked with the gateway's address, as https for wss; the proxy's scheme is
// http, https, socks5 or socks5h, and its user and password are sent to it.
func WithProxy(proxy func(*http.Request) (*url.URL, error)) Option {
	return func(g *Gate) { g.dialer.SetProxy(proxy) }
}

// WithNetDial sets how the gate opens TCP connections, to the gateway or to the
// proxy of [WithProxy]. The default is a net.Dialer.
func WithNetDial(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(g *Gate) { g.dialer.NetDial = dial }
}

// WithTLSConfig sets the gate's TLS: a websocket.Dialer whose NetDialTLSContext
// is set ignores its own.
func WithTLSConfig(config *tls.Config) Option { return func(g *Gate) { g.dialer.TLS = config } }

// WithHeartbeat sets how often heartbeats are sent while an IDENTIFY is held; 20 s
// by default, more than 0. They are sent twice per interval that HELLO asks for
// if that is more often.
func WithHeartbeat(d time.Duration) Option { return func(g *Gate) { g.heartbeat = d } }

// New returns a gate for the session of one shard. The queue stays the caller's,
// who closes it after the gate.
func New(queue gatewayqueue.PermitQueue, shardID int, opts ...Option) *Gate {
	g := &Gate{
		queue: queue, shardID: shardID, heartbeat: heartbeat,
		log: slog.New(slog.DiscardHandler), unused: make(map[*link]struct{}),
	}
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
	g.ready, g.refused = true, false
}

// Close ends all waits: Open then fails, and an IDENTIFY that was held is not
// sent. Call it before the session's Close, which waits for a session that waits
// here. Connections that resume still pass, but no IDENTIFY leaves once Close has
// returned; permits that were held for one go back. Close blocks until the queue
// has heard what became of every permit, for 2 s at most; the queue goes on
// trying then. It may be called again, from any goroutine and handler.
func (g *Gate) Close() {
	g.cancel(gatewayqueue.ErrClosed)
	g.sends.Wait()
	g.mu.Lock()
	kept := g.kept
	g.kept = nil
	unused := slices.Collect(maps.Keys(g.unused))
	g.mu.Unlock()
	if kept != nil && kept.take() {
		kept.leave()
	}
	for _, l := range unused {
		l.abandon()
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	g.reports.Wait(ctx)
}

// abandon gives a permit back; discordgo need not wait.
func (g *Gate) abandon(permit gatewayqueue.Permit) { g.reports.Abandon(permit, g.unreported) }

func (g *Gate) unreported(err error) { g.log.Warn("a permit could not be reported yet", "error", err) }
