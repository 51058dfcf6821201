// The connections of a session: each knows its permit, if it has one, and what
// becomes of it.

package discordgoqueue

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn"
)

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
	if !g.resumes() {
		permit, err := g.acquire(ctx)
		if err != nil {
			return nil, err
		}
		l.permit = permit
	}
	conn, err := g.dialer.Dial(ctx, network, addr, encrypted)
	if err != nil {
		l.abandon()
		return nil, err
	}
	l.Conn = gatewayconn.Wrap(conn, gatewayconn.Patience, gatewayconn.Hooks{Identify: l.identify, Resume: l.resume})
	context.AfterFunc(l.Done(), l.abandon)
	return l, nil
}

// link is one connection.
type link struct {
	*gatewayconn.Conn
	gate *Gate

	mu     sync.Mutex
	permit gatewayqueue.Permit // until IDENTIFY has left
}

// Close closes the connection; a permit that was not used goes back.
func (l *link) Close() error {
	defer l.abandon()
	return l.Conn.Close()
}

// take takes the permit, which then is the caller's to report.
func (l *link) take() gatewayqueue.Permit {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.permit
	l.permit = nil
	return p
}

// abandon gives the permit back, if it was not used.
func (l *link) abandon() {
	if p := l.take(); p != nil {
		l.gate.report(p.Abandon)
	}
}

// resume hears that the connection begins with RESUME.
func (l *link) resume() {
	l.gate.Ready()
	l.abandon()
}

// identify holds an IDENTIFY until it may leave.
func (l *link) identify(ctx context.Context, c *gatewayconn.Conn, shardID int) (func(), error) {
	g := l.gate
	if shardID != g.shardID { // it would be counted in another bucket
		g.log.Error("the session identifies as another shard than its gate's", "session", shardID)
		return nil, &gatewayqueue.InvalidError{Field: "the session's shard", Value: shardID, Want: fmt.Sprintf("%d, as its gate was told", g.shardID)}
	}
	permit := l.take()
	if permit == nil {
		g.log.Debug("IDENTIFY on an open connection waits for its turn")
		var err error
		if permit, err = l.hold(ctx, c); err != nil {
			return nil, err
		}
	}
	if ctx.Err() != nil || !time.Now().Before(permit.Deadline()) {
		g.log.Warn("IDENTIFY came after its permit had ended: it was not sent")
		g.report(permit.Abandon)
		return nil, gatewayqueue.ErrPermitExpired
	}
	return func() { g.report(permit.Identified) }, nil
}

// hold waits for a permit with the connection open, and keeps it alive.
func (l *link) hold(ctx context.Context, c *gatewayconn.Conn) (gatewayqueue.Permit, error) {
	ctx, cancel := context.WithCancel(ctx)
	var beats sync.WaitGroup
	beats.Go(func() {
		ticker := time.NewTicker(l.gate.heartbeat)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if c.Heartbeat() != nil {
					cancel() // the connection is gone
				}
			}
		}
	})
	permit, err := l.gate.acquire(ctx)
	cancel()
	beats.Wait()
	return permit, err
}
