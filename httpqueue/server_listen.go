// The HTTP server around a handler: its time limits, and connections that say
// nothing of their own accord.

package httpqueue

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// Limits of [NewServer]. A request must have arrived within requestTimeout; the
// answer may take as long as the line is.
const (
	requestTimeout = 10 * time.Second
	answerTimeout  = 10 * time.Second // from its first byte to its last
	idleTimeout    = 2 * time.Minute
	maxHeader      = 16 << 10
)

// NewServer returns a server for a handler, with limits that a service on the
// network needs: 10 s for a request to arrive, 16 KiB of header, 2 minutes for
// an idle connection, HTTP/1 only. Set Addr, TLSConfig or ErrorLog before use.
//
// Shutdown of the server shuts the handler down, too, if it is a [Handler].
// Serve a [Quiet] listener where legacy clients are to be expected.
func NewServer(handler http.Handler) *http.Server {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		// net/http's own answer to "OPTIONS *" would be a grant to a legacy
		// client.
		DisableGeneralOptionsHandler: true,
		BaseContext:                  withListener,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			if q, ok := conn.(*quietConn); ok {
				return context.WithValue(ctx, quietKey{}, q)
			}
			return ctx
		},
		ConnState: func(conn net.Conn, state http.ConnState) {
			if q, ok := conn.(*quietConn); ok && state == http.StateIdle {
				q.mayWrite.Store(false)
				q.ahead.Store(false)
				q.timed.Store(false)
			}
		},
	}
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	if h, ok := handler.(*Handler); ok {
		server.RegisterOnShutdown(h.stop)
	}
	return server
}

// Quiet makes the connections of a listener say nothing but what the [Handler]
// says: a request that net/http refuses by itself (malformed, too large, of an
// unknown version) is not answered with 400 or the like, because a legacy
// client would take that for permission. Its connection is closed instead. It
// works with the server of [NewServer], for plain TCP; TLS goes in front of it.
//
// They also give up on clients that do not read: an answer has 10 s from its
// first byte, however long the request has waited for it. A handler that sets
// write deadlines itself, such as a stream of events, has its own.
func Quiet(listener net.Listener) net.Listener { return quietListener{listener} }

type quietListener struct{ net.Listener }

func (l quietListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &quietConn{Conn: conn}, nil
}

// quietConn refuses to write until a handler speaks, and ends when its client
// sends on while it waits. An answer may take so long and no longer.
type quietConn struct {
	net.Conn
	mayWrite atomic.Bool
	waits    atomic.Bool // a request of this connection stands in line
	ahead    atomic.Bool // something came after that request
	broken   atomic.Bool // something came while it stood in line
	timed    atomic.Bool // this answer has a deadline
}

var errAhead = errors.New("httpqueue: the client sends its next request while it waits for the answer to this one")

// Read is also what net/http notices with that a client hangs up: it reads one
// byte, and no more once there was one. A client that sends something while it
// waits would so stand in line for ever after it has gone. No client does that
// but one that is broken, or a stranger.
func (c *quietConn) Read(b []byte) (int, error) {
	if c.broken.Load() {
		return 0, errAhead // a byte of what follows is lost
	}
	n, err := c.Conn.Read(b)
	if n == 0 || len(b) != 1 {
		return n, err
	}
	c.ahead.Store(true)
	if c.waits.Load() {
		c.broken.Store(true)
		return 0, errAhead // which ends the request's context
	}
	return n, err
}

// listen says that a request stands in line, or no longer does. It returns false
// if its client has sent more already.
func listen(ctx context.Context, waits bool) bool {
	q, ok := ctx.Value(quietKey{}).(*quietConn)
	if !ok {
		return true
	}
	q.waits.Store(waits)
	return !q.ahead.Load()
}

var errQuiet = errors.New("httpqueue: the server may not answer this request by itself")

func (c *quietConn) Write(b []byte) (int, error) {
	if !c.mayWrite.Load() {
		_ = c.Conn.Close() //nolint:errcheck // the error that counts is errQuiet
		return 0, errQuiet
	}
	if !c.timed.Swap(true) {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(answerTimeout)) // if that fails, so does Write
	}
	n, err := c.Conn.Write(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		reset(c.Conn)
	}
	return n, err
}

// reset has the system forget what a client has not read, when the connection is
// closed: megabytes, which it would else keep for minutes.
func reset(conn net.Conn) {
	for {
		switch c := conn.(type) {
		case interface{ SetLinger(int) error }:
			_ = c.SetLinger(0) // it is as good as closed
			return
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return
		}
	}
}

// SetWriteDeadline is a handler's own deadline, or net/http's end of one.
func (c *quietConn) SetWriteDeadline(t time.Time) error {
	c.timed.Store(!t.IsZero())
	return c.Conn.SetWriteDeadline(t)
}

// NetConn is the connection as the listener has accepted it.
func (c *quietConn) NetConn() net.Conn { return c.Conn }

type quietKey struct{}

// speak says that the handler answers this request; hush takes it back.
func speak(r *http.Request) { setQuiet(r, false) }
func hush(r *http.Request)  { setQuiet(r, true) }

func setQuiet(r *http.Request, quiet bool) {
	if q, ok := r.Context().Value(quietKey{}).(*quietConn); ok {
		q.mayWrite.Store(!quiet)
	}
}

// awaitBody gives a body requestTimeout to arrive, also where nobody reads it:
// net/http does so before it lets the connection go.
func awaitBody(w http.ResponseWriter, r *http.Request) {
	if r.Body != nil && r.Body != http.NoBody {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(requestTimeout)) // a server without has its own
	}
}

// bodyArrived says that it has; from now on the client only listens. The time for
// the answer has not begun yet, though an interim one (100 Continue) was written.
func bodyArrived(w http.ResponseWriter) {
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{})
	_ = out.SetWriteDeadline(time.Time{})
}
