// Package disgoqueue plugs a queue into disgo: a [Limiter] is a
// gateway.IdentifyRateLimiter of disgo v0.19.6, without importing it.
//
//	limiter := disgoqueue.New(queue)
//	client, err := disgo.New(token, bot.WithShardManagerConfigOpts(
//		sharding.WithIdentifyRateLimiter(limiter),
//		sharding.WithGatewayConfigOpts(gateway.WithDialer(&websocket.Dialer{
//			NetDialContext:    limiter.DialContext,
//			NetDialTLSContext: limiter.DialTLSContext,
//		})),
//	))
//	...
//	defer client.Close(ctx)
//	defer limiter.Close(ctx) // before the client: see [Limiter.Close]
//
// # With and without the dialer
//
// disgo waits before it dials, and unlocks when READY has come or something has
// failed, without saying which. So the bucket is held by a permit from Wait to
// Unlock. The limiter alone, without the dialer, has to take every Unlock for an
// IDENTIFY that was sent: the window starts there, which costs the time to
// READY per identify, and a window and a unit per dial that failed.
//
// With the dialer the limiter sees IDENTIFY leave. The window starts right
// then; a shard whose connection fails before that gives slot and unit back at
// its Unlock, that is at once; and an IDENTIFY whose permit has ended meanwhile
// is not sent, but tried again by disgo. All gateways of a limiter must use its
// dialer, or none. An IDENTIFY is not sent, either, once its connection has
// ended or been told to (op 7); and the window starts when it has arrived.
//
// Of the websocket.Dialer's other fields, Proxy must be nil, because IDENTIFY
// would be out of sight: the limiter's dialer takes the proxy that the
// environment names, as disgo's own does (see [WithProxy]). TLSClientConfig is
// ignored by gorilla where NetDialTLSContext is set (see [WithTLSConfig]), and so
// are NetDial and a NetDialContext of your own (see [WithNetDial]).
// EnableCompression has no effect. HandshakeTimeout, Jar, Subprotocols, the
// buffers' sizes and their pool work as ever.
//
// disgo resumes without asking; the limiter hears nothing of it.
package disgoqueue

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn"
)

// ErrNoPermit is the error of an IDENTIFY that was not sent because its shard
// holds no permit: it has not waited, or was given up.
var ErrNoPermit = errors.New("disgoqueue: IDENTIFY without a permit was not sent")

// Limiter lets the shards of disgo identify when a queue says so. Its methods
// may be called from any number of goroutines.
type Limiter struct {
	queue  gatewayqueue.PermitQueue
	dialer gatewayconn.Dialer
	log    *slog.Logger

	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	shards  map[int]*shard
	dials   int // connections that were begun through the dialer
	sends   gatewayconn.Sends
	reports gatewayconn.Reports
}

// shard is what a limiter knows of one.
type shard struct {
	closed bool
	waits  map[*wait]struct{}
	held   []*hold // from Wait to Unlock, the oldest first; there is one, as a rule
}

// wait is a call of Wait that has not returned.
type wait struct{ cancel context.CancelCauseFunc }

type hold struct {
	permit   gatewayqueue.Permit
	dials    int // of the limiter, when Wait returned
	state    holdState
	unlocked bool // while its IDENTIFY is being sent: the permit is reported after that
}

// holdState is what the dialer has seen of an IDENTIFY.
type holdState int

const (
	unsent  holdState = iota
	sending           // it is being written, under the limiter's Sends
	isSent            // it was, or perhaps was, and that is reported
)

// Option changes one default of [New].
type Option func(*Limiter)

// WithLogger sets where the limiter says what it had to guess or refuse;
// nowhere by default.
func WithLogger(l *slog.Logger) Option { return func(x *Limiter) { x.log = l } }

// WithProxy sets through which proxy the dialer connects, as the Proxy of a
// websocket.Dialer does, which must stay nil. The default is
// [http.ProxyFromEnvironment], or no proxy where [WithNetDial] is given; nil is no proxy.
// It is asked with the gateway's address, as https for wss; the proxy's scheme is
// http, https, socks5 or socks5h, and its user and password are sent to it.
func WithProxy(proxy func(*http.Request) (*url.URL, error)) Option {
	return func(x *Limiter) { x.dialer.SetProxy(proxy) }
}

// WithNetDial sets how the dialer opens TCP connections, to the gateway or to the
// proxy of [WithProxy]. The default is a net.Dialer.
func WithNetDial(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(x *Limiter) { x.dialer.NetDial = dial }
}

// WithTLSConfig sets the dialer's TLS: a websocket.Dialer whose NetDialTLSContext
// is set ignores its own.
func WithTLSConfig(config *tls.Config) Option { return func(x *Limiter) { x.dialer.TLS = config } }

// New returns a limiter that asks queue. The queue stays the caller's, who
// closes it after the limiter.
func New(queue gatewayqueue.PermitQueue, opts ...Option) *Limiter {
	l := &Limiter{queue: queue, log: slog.New(slog.DiscardHandler), shards: make(map[int]*shard)}
	for _, opt := range opts {
		opt(l)
	}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	return l
}

// Wait blocks until shardID may dial and identify, and then holds its bucket
// until Unlock. An error means that it may not, and that nothing was spent: the
// queue's, or [gatewayqueue.ErrClosed] after Close or CloseShard. disgo tries
// again, after 1 s at first and 1 min at last.
func (l *Limiter) Wait(ctx context.Context, shardID int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &wait{cancel}
	if err := l.enter(w, shardID); err != nil {
		return err
	}
	stop := context.AfterFunc(l.ctx, func() { cancel(context.Cause(l.ctx)) })
	defer stop()
	permit, err := l.queue.Acquire(ctx, shardID)

	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shards[shardID]
	delete(s.waits, w)
	switch {
	case err != nil:
		if cause := context.Cause(ctx); cause != nil && !errors.Is(err, cause) {
			err = errors.Join(cause, err)
		}
		l.forget(shardID)
		return err
	case s.closed || l.ctx.Err() != nil: // closed in the instant of the grant
		l.abandon(permit)
		l.forget(shardID)
		return gatewayqueue.ErrClosed
	}
	s.held = append(s.held, &hold{permit: permit, dials: l.dials})
	return nil
}

// enter notes a wait, so that it can be ended.
func (l *Limiter) enter(w *wait, shardID int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shards[shardID]
	if l.ctx.Err() != nil || s != nil && s.closed {
		return gatewayqueue.ErrClosed
	}
	if s == nil {
		s = &shard{waits: make(map[*wait]struct{})}
		l.shards[shardID] = s
	}
	s.waits[w] = struct{}{}
	return nil
}

// forget drops what is known of a shard when that is nothing. The caller holds
// mu.
func (l *Limiter) forget(shardID int) {
	if s := l.shards[shardID]; !s.closed && len(s.waits) == 0 && len(s.held) == 0 {
		delete(l.shards, shardID)
	}
}

// Unlock ends what Wait began. If the limiter's dialer is in use and no
// IDENTIFY was sent, slot and unit go back; without it, IDENTIFY may have been
// sent, and the window starts now. Unlock without Wait, or a second time, does
// nothing. It does not block.
func (l *Limiter) Unlock(shardID int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shards[shardID]
	if s == nil || len(s.held) == 0 {
		return
	}
	h := s.held[0]
	s.held = s.held[1:]
	l.forget(shardID)
	h.unlocked = true
	switch {
	case h.state != unsent: // it is reported, or will be
	case l.dials > h.dials:
		l.log.Debug("the connection failed before IDENTIFY: its slot goes back", "shard", shardID)
		l.abandon(h.permit)
	default:
		l.log.Debug("unlocked without a word on IDENTIFY: it counts as sent", "shard", shardID)
		l.reports.Identified(h.permit, nil, l.unreported)
	}
}

// CloseShard ends the waits of one shard and refuses it from now on. Call it
// before disgo's Gateway.Close or ShardManager.CloseShard: those wait for a
// shard that waits here, and do not stop one that is about to try again.
// A permit that it holds stays held until Unlock.
func (l *Limiter) CloseShard(shardID int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shards[shardID]
	if s == nil {
		s = &shard{waits: make(map[*wait]struct{})}
		l.shards[shardID] = s
	}
	s.closed = true
	for w := range s.waits {
		w.cancel(gatewayqueue.ErrClosed)
	}
}

// OpenShard admits a shard again that CloseShard has closed.
func (l *Limiter) OpenShard(shardID int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.shards[shardID]; s != nil {
		s.closed = false
		l.forget(shardID)
	}
}

// Close ends all waits and refuses new ones. Call it before the client's Close,
// which waits for every shard that waits here; disgo itself never calls it. No
// IDENTIFY leaves through the dialer once Close has returned. Permits that are
// held stay held until Unlock. Close blocks until the queue
// has heard of all that were reported, or ctx ends; the queue goes on trying
// then. It may be called again.
func (l *Limiter) Close(ctx context.Context) {
	l.mu.Lock() // no wait can enter unseen
	l.cancel(gatewayqueue.ErrClosed)
	l.mu.Unlock()
	l.sends.Wait()
	l.reports.Wait(ctx)
}

// abandon gives a permit back; disgo need not wait for it.
func (l *Limiter) abandon(permit gatewayqueue.Permit) { l.reports.Abandon(permit, l.unreported) }

func (l *Limiter) unreported(err error) {
	l.log.Warn("a permit could not be reported yet", "error", err)
}
