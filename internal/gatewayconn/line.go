// The way of a connection to Discord, as far as an IDENTIFY needs care on it: whether
// it carries anything, what is still underway, and how it ends.

package gatewayconn

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
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

// Line is a connection on which IDENTIFY may be sent. One goroutine at a time may
// call Forward, Beat and Send; the other methods are for any.
type Line struct {
	net.Conn
	ctx     context.Context // ends with Close, or with End
	cancel  context.CancelCauseFunc
	leaving func() // called when an IDENTIFY is about to be written; it may be nil

	wrote       elapsed.Moment // of the last write
	underway    atomic.Bool    // an IDENTIFY was written that may not have arrived
	deadlines   sync.Mutex
	writeBefore time.Time // the owner's deadline for writes
}

// NewLine makes conn a Line.
func NewLine(conn net.Conn) *Line {
	l := &Line{Conn: conn}
	l.ctx, l.cancel = context.WithCancelCause(context.Background())
	return l
}

// Done returns a context that ends with Close or End; its cause says how.
func (l *Line) Done() context.Context { return l.ctx }

// End ends every IDENTIFY that waits for the connection, which has ended, or is
// about to, as why says. It does not close it.
func (l *Line) End(why error) { l.cancel(fmt.Errorf("%w: %w", ErrLost, why)) }

// Close closes the connection. What is underway of an IDENTIFY does not arrive
// after it. It does not wait.
func (l *Line) Close() error {
	l.cancel(nil)
	if l.underway.Load() { // the system would go on delivering it
		if n, ok := unacknowledged(TCP(l.Conn)); ok && n > 0 {
			l.dropUnsent()
		}
	}
	return l.Conn.Close()
}

// Forward writes what needs no leave.
func (l *Line) Forward(raw []byte) error {
	l.wrote = elapsed.Now()
	_, err := l.Conn.Write(raw)
	return err
}

// Waiting reports whether bytes are known to have come that nobody has read yet.
func (l *Line) Waiting() bool {
	n, ok := unread(TCP(l.Conn))
	return ok && n > 0
}

// Beat writes a heartbeat for an owner who cannot, because his IDENTIFY is held.
// It blocks for 5 s at most.
func (l *Line) Beat(raw []byte) error {
	if err := l.dead(); err != nil {
		return err
	}
	return l.bounded(l.ctx, time.Now().Add(sendTimeout), func() error {
		_, err := l.Conn.Write(raw)
		l.wrote = elapsed.Now()
		return err
	})
}

// Send is [Send] for one IDENTIFY. Its window begins right before the write, where
// the permit can be announced; else with the report.
func (l *Line) Send(ctx context.Context, permit gatewayqueue.Permit, raw []byte) (bool, error) {
	if err := l.dead(); err != nil {
		return false, err
	}
	if err := gatewayqueue.Announce(ctx, permit); err != nil {
		return false, err
	}
	if err := l.dead(); err != nil { // meanwhile
		return false, err
	}
	limit := permit.Deadline()
	if soon := time.Now().Add(sendTimeout); soon.Before(limit) {
		limit = soon
	}
	sent := false
	err := l.bounded(ctx, limit, func() error {
		if l.leaving != nil {
			l.leaving()
		}
		// The last look: nothing but the write comes after it.
		if !time.Now().Before(permit.Deadline()) {
			return gatewayqueue.ErrPermitExpired
		}
		sent = true
		l.underway.Store(true)
		_, err := l.Conn.Write(raw)
		l.wrote = elapsed.Now()
		return err
	})
	if sent && err != nil { // a part of it may be in the socket: no more must leave
		l.dropUnsent()
	}
	return sent, err
}

// bounded runs a write that ends at limit, at the owner's own deadline and with
// ctx, whichever comes first. It does not run one that comes too late.
func (l *Line) bounded(ctx context.Context, limit time.Time, write func() error) error {
	l.deadlines.Lock()
	own := l.writeBefore
	if !own.IsZero() && own.Before(limit) {
		limit = own
	}
	_ = l.Conn.SetWriteDeadline(limit) //nolint:errcheck // Of a connection that is closed: the write says so.
	l.deadlines.Unlock()

	aborted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(aborted)
		_ = l.Conn.SetWriteDeadline(past) //nolint:errcheck // The same.
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
	l.deadlines.Lock()
	defer l.deadlines.Unlock()
	_ = l.Conn.SetWriteDeadline(l.writeBefore) //nolint:errcheck // The same.
	return err
}

// dead says whether the connection has ended, also where nobody has read that
// yet, or carries nothing any more.
func (l *Line) dead() error {
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	tcp := TCP(l.Conn)
	if !established(tcp) {
		return fmt.Errorf("%w: the other end has closed it", ErrLost)
	}
	if n, ok := unacknowledged(tcp); ok && n > 0 && !l.wrote.IsZero() && l.wrote.Since() > stalled {
		return fmt.Errorf("%w: what was sent %v ago has not arrived", ErrLost, l.wrote.Since().Round(time.Millisecond))
	}
	return nil
}

// deliver blocks until the other end's system has the IDENTIFY that was sent
// under permit, or until it may not arrive any more; then the connection is
// reset, and it never will. A write only puts it into the socket, and on a bad
// line it may stay there for seconds, while other pods' windows go by.
func (l *Line) deliver(permit gatewayqueue.Permit) {
	defer l.underway.Store(false)
	tcp := TCP(l.Conn)
	start := elapsed.Now()
	for wait := time.Millisecond; ; wait = min(2*wait, 20*time.Millisecond) {
		if n, ok := unacknowledged(tcp); !ok || n == 0 {
			return
		}
		if start.Since() >= sendTimeout || !time.Now().Before(permit.Deadline()) {
			l.dropUnsent()
			_ = l.Close()
			return
		}
		time.Sleep(wait)
	}
}

// dropUnsent makes the connection one that is reset when it is closed: what is
// in the socket and has not left is not sent then.
func (l *Line) dropUnsent() {
	if tcp := TCP(l.Conn); tcp != nil {
		_ = tcp.SetLinger(0) //nolint:errcheck // It is closed, then.
	}
}

// TCP returns the TCP connection at the bottom of conn, or nil if that is not known.
func TCP(conn net.Conn) *net.TCPConn {
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
