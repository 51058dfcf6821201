// The last moments of an IDENTIFY: whether it may still leave, the write, and
// whether it has arrived.

package gatewayconn

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
)

const (
	// sendTimeout is how long an IDENTIFY may be on its way into the socket, and
	// again from there to the other end's: what takes longer is dropped rather
	// than delivered into a later window.
	sendTimeout = 5 * time.Second

	// stalled is how long bytes written before may lack the other end's word
	// that they have come. It is more than the retransmissions of a lost packet
	// take on a good connection (0.2, 0.4 and 0.8 s).
	stalled = 2 * time.Second
)

// past is a deadline that ends a write which blocks.
var past = time.Unix(1, 0)

// send is [Send] for one IDENTIFY. Its window begins right before the write, where
// the permit can be announced; else with the report.
func (c *Conn) send(ctx context.Context, permit gatewayqueue.Permit, raw []byte) (bool, error) {
	if err := c.dead(); err != nil {
		return false, err
	}
	if err := gatewayqueue.Announce(ctx, permit); err != nil {
		return false, err
	}
	if err := c.dead(); err != nil { // meanwhile
		return false, err
	}
	limit := permit.Deadline()
	if soon := time.Now().Add(sendTimeout); soon.Before(limit) {
		limit = soon
	}
	sent := false
	err := c.bounded(ctx, limit, func() error {
		c.answers()
		// The last look: nothing but the write comes after it.
		if !time.Now().Before(permit.Deadline()) {
			return gatewayqueue.ErrPermitExpired
		}
		sent = true
		c.underway.Store(true)
		_, err := c.Conn.Write(raw)
		c.wrote = elapsed.Now()
		return err
	})
	if sent && err != nil { // a part of it may be in the socket: no more must leave
		c.dropUnsent()
	}
	return sent, err
}

// Sends lets IDENTIFYs leave for as long as their owner is open. The zero Sends
// works.
type Sends struct{ underway sync.RWMutex }

// Do calls send, unless open has ended. A write that blocks ends with open, too.
func (s *Sends) Do(ctx, open context.Context, send Send, permit gatewayqueue.Permit) (bool, error) {
	s.underway.RLock()
	defer s.underway.RUnlock()
	if open.Err() != nil {
		return false, context.Cause(open)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(open, func() { cancel(context.Cause(open)) })()
	return send(ctx, permit)
}

// Wait blocks until all IDENTIFYs have left that Do had begun to send; after the
// end of open, that is at once, and none leaves afterwards.
func (s *Sends) Wait() {
	s.underway.Lock()
	defer s.underway.Unlock()
}

// bounded runs a write that ends at limit, at the owner's own deadline and with
// ctx, whichever comes first. It does not run one that comes too late.
func (c *Conn) bounded(ctx context.Context, limit time.Time, write func() error) error {
	c.deadlines.Lock()
	own := c.writeBefore
	if !own.IsZero() && own.Before(limit) {
		limit = own
	}
	_ = c.Conn.SetWriteDeadline(limit) //nolint:errcheck // Of a connection that is closed: the write says so.
	c.deadlines.Unlock()

	aborted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(aborted)
		_ = c.Conn.SetWriteDeadline(past) //nolint:errcheck // The same.
	})
	var err error
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case !own.IsZero() && !time.Now().Before(own):
		err = fmt.Errorf("%w: %w", ErrLost, os.ErrDeadlineExceeded)
	default:
		err = write()
	}
	if !stop() {
		<-aborted
	}
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	_ = c.Conn.SetWriteDeadline(c.writeBefore) //nolint:errcheck // The same.
	return err
}

// dead says whether the connection has ended, also where nobody has read that
// yet, or carries nothing any more.
func (c *Conn) dead() error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	tcp := tcpOf(c.Conn)
	if !established(tcp) {
		return fmt.Errorf("%w: the other end has closed it", ErrLost)
	}
	if n, ok := unacknowledged(tcp); ok && n > 0 && !c.wrote.IsZero() && c.wrote.Since() > stalled {
		return fmt.Errorf("%w: what was sent %v ago has not arrived", ErrLost, c.wrote.Since().Round(time.Millisecond))
	}
	return nil
}

// deliver blocks until the other end's system has the IDENTIFY that was sent
// under permit, or until it may not arrive any more; then the connection is
// reset, and it never will. A write only puts it into the socket, and on a bad
// line it may stay there for seconds, while other pods' windows go by.
func (c *Conn) deliver(permit gatewayqueue.Permit) {
	defer c.underway.Store(false)
	tcp := tcpOf(c.Conn)
	start := elapsed.Now()
	for wait := time.Millisecond; ; wait = min(2*wait, 20*time.Millisecond) {
		if n, ok := unacknowledged(tcp); !ok || n == 0 {
			return
		}
		if start.Since() >= sendTimeout || !time.Now().Before(permit.Deadline()) {
			c.dropUnsent()
			_ = c.Close()
			return
		}
		time.Sleep(wait)
	}
}

// dropUnsent makes the connection one that is reset when it is closed: what is
// in the socket and has not left is not sent then.
func (c *Conn) dropUnsent() {
	if tcp := tcpOf(c.Conn); tcp != nil {
		_ = tcp.SetLinger(0) //nolint:errcheck // It is closed, then.
	}
}

// Heartbeat sends a heartbeat for an owner who cannot, because a hook holds
// him. It names no sequence number: who is about to identify has none. It may
// be called from the Identify hook only, and blocks for 5 s at most.
func (c *Conn) Heartbeat() error {
	if err := c.dead(); err != nil {
		return err
	}
	return c.bounded(c.ctx, time.Now().Add(sendTimeout), func() error {
		_, err := c.Conn.Write(textFrame([]byte(`{"op":1,"d":null}`)))
		c.wrote = elapsed.Now()
		return err
	})
}

// tcpOf returns the TCP connection at the bottom of conn, if it is known.
func tcpOf(conn net.Conn) *net.TCPConn {
	for {
		switch c := conn.(type) {
		case *net.TCPConn:
			return c
		case interface{ NetConn() net.Conn }: // crypto/tls and others
			conn = c.NetConn()
		default:
			return nil
		}
	}
}
