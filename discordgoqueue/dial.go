// The connections of a session: each knows its permit, if it has one, and what
// becomes of it.

package discordgoqueue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn"
)

// refusalTimeout is how long after a RESUME its refusal may take, where the gate
// expects one and keeps the permit for what comes then.
const refusalTimeout = 10 * time.Second

// DialContext is the NetDialContext of the session's websocket.Dialer. It blocks
// until the shard may identify, unless the session resumes.
func (g *Gate) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return g.dial(ctx, network, addr, false)
}

// DialTLSContext is the NetDialTLSContext of the same websocket.Dialer.
func (g *Gate) DialTLSContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return g.dial(ctx, network, addr, true)
}

func (g *Gate) dial(ctx context.Context, network, addr string, encrypted bool) (net.Conn, error) {
	l := &link{gate: g}
	if !isVoice(addr) && g.refuses() {
		return nil, errTooSoon
	}
	if g.waits() && !isVoice(addr) {
		defer g.reports.Expect()()
		var done context.CancelCauseFunc
		ctx, done = g.until(ctx) // Close ends the dial as well
		defer done(nil)
		permit, err := g.acquire(ctx)
		if err != nil {
			return nil, explained(err)
		}
		l.give(permit)
	}
	conn, err := g.dialer.Dial(ctx, network, addr, encrypted)
	if err != nil {
		l.abandon()
		if g.ctx.Err() != nil {
			err = errors.Join(context.Cause(g.ctx), err)
		}
		return nil, err
	}
	l.Conn = gatewayconn.Wrap(conn, gatewayconn.Patience, gatewayconn.Hooks{Identify: l.identify, Resume: l.resume, Event: l.event, Closing: l.closing})
	context.AfterFunc(l.Done(), l.abandon)
	return l, nil
}

// isVoice reports whether addr is of a voice server, which discordgo dials with
// the same Dialer: no IDENTIFY of the gateway is sent there.
func isVoice(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && strings.HasSuffix(strings.TrimSuffix(strings.ToLower(host), "."), ".discord.media")
}

// until returns a context that ends with ctx and with the gate.
func (g *Gate) until(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(g.ctx, func() { cancel(context.Cause(g.ctx)) })
	return ctx, func(cause error) { stop(); cancel(cause) }
}

// explained adds to the error of a wait that a deadline ended where that comes
// from: discordgo itself sets none.
func explained(err error) error {
	var deadline *gatewayqueue.DeadlineError
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &deadline) {
		return fmt.Errorf("%w (the websocket.Dialer's HandshakeTimeout bounds the wait in line, too: leave it at 0)", err)
	}
	return err
}

// link is one connection.
type link struct {
	*gatewayconn.Conn
	gate *Gate

	mu     sync.Mutex
	permit gatewayqueue.Permit // until IDENTIFY is about to leave

	identified time.Time // when it left
	lostAt     time.Time // see lost
}

// Close closes the connection; a permit that was not used goes back.
func (l *link) Close() error {
	defer l.abandon()
	l.mu.Lock()
	lost := l.lostAt
	l.mu.Unlock()
	if !lost.IsZero() && time.Since(lost) >= closeTakes {
		l.gate.refuseNext()
	}
	return l.Conn.Close()
}

// lost hears that the connection has ended in a way that two of discordgo's
// goroutines see to: with its IDENTIFY held, or in error.
func (l *link) lost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lostAt = time.Now()
}

// give makes the permit the link's.
func (l *link) give(p gatewayqueue.Permit) {
	l.gate.mu.Lock()
	l.gate.unused[l] = struct{}{}
	l.gate.mu.Unlock()
	l.mu.Lock()
	l.permit = p
	l.mu.Unlock()
	if l.gate.ctx.Err() != nil { // Close may not have seen it
		l.abandon()
	}
}

// take takes the permit, which then is the caller's to report.
func (l *link) take() gatewayqueue.Permit {
	l.gate.mu.Lock()
	delete(l.gate.unused, l)
	l.gate.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.permit
	l.permit = nil
	return p
}

// abandon gives the permit back, if it was not used.
func (l *link) abandon() {
	if p := l.take(); p != nil {
		l.gate.abandon(p)
	}
}

// resume hears that the connection begins with RESUME. Its permit goes back,
// unless the RESUME is known to be refused: IDENTIFY comes then.
func (l *link) resume() {
	if l.gate.resumesInVain() {
		time.AfterFunc(refusalTimeout, l.abandon)
		return
	}
	l.abandon()
}

// event hears what the gateway says. An event means that there is a session, and
// HELLO of a voice server (op 8) that there will be none.
func (l *link) event(op int) {
	if op == 0 || op == 8 {
		l.abandon()
	}
}

// closing hears that discordgo closes the connection: so soon after IDENTIFY, and
// with nothing wrong with it, it means another one.
func (l *link) closing() {
	l.mu.Lock()
	at := l.identified
	l.mu.Unlock()
	if !at.IsZero() && time.Since(at) < closesInError && l.Done().Err() == nil {
		l.lost()
	}
}

// identify holds an IDENTIFY until it may leave.
func (l *link) identify(ctx context.Context, c *gatewayconn.Conn, shardID int, send gatewayconn.Send) error {
	g := l.gate
	if shardID != g.shardID { // it would be counted in another bucket
		g.log.Error("the session identifies as another shard than its gate's", "session", shardID)
		return &gatewayqueue.InvalidError{Field: "the session's shard", Value: shardID, Want: fmt.Sprintf("%d, as its gate was told", g.shardID)}
	}
	defer g.reports.Expect()()
	permit := l.take()
	if permit == nil {
		g.log.Debug("IDENTIFY on an open connection waits for its turn")
		var err error
		if permit, err = g.hold(ctx, c); err != nil {
			l.lost()
			g.log.Debug("IDENTIFY on an open connection was not sent", "error", err)
			return err
		}
	}
	sent, err := g.sends.Do(ctx, g.ctx, send, permit)
	switch {
	case sent:
		l.mu.Lock()
		l.identified = time.Now()
		l.mu.Unlock()
		g.identified()
		g.reports.Identified(permit, c.Line, g.unreported)
	case errors.Is(err, gatewayqueue.ErrPermitExpired):
		g.log.Warn("IDENTIFY came after its permit had ended: it was not sent")
		fallthrough
	default:
		g.abandon(permit)
	}
	return err
}
