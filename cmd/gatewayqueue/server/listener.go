// Connections: as many as there are file descriptors for, with some kept back
// for Redis, Discord and probes. Without a bound a server that is out of
// descriptors cannot dial Redis, so nobody is granted, so nobody leaves.

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/httpqueue"
)

// Bounds are how many connections there may be.
type Bounds struct {
	Connections int // of anybody
	Spare       int // more, for probes: others have to go there when somebody comes
	Files       int // the limit that they follow from; 0 for none
}

// Descriptors that are kept back, besides those for Redis.
const (
	forDiscord = 8  // and its name servers
	forProcess = 24 // standard streams, the poller, what a scrape opens in /proc
	mostSpare  = 32
	leastRoom  = 8 // connections below which serving makes no sense
)

// Within divides files among those who need some; forRedis of them are Redis's. most
// is how many connections there may be where files do not bound them, and each how
// many files one of them needs.
func Within(files, forRedis, most, each int) (Bounds, error) {
	b := Bounds{Connections: most, Spare: mostSpare, Files: files}
	if files == 0 {
		return b, nil
	}
	b.Spare = min(mostSpare, max(4, files/16))
	kept := forRedis + forDiscord + forProcess + b.Spare
	if least := kept + leastRoom*each; files < least {
		return b, fmt.Errorf("only %d files may be open: want %d or more (ulimit -n, LimitNOFILE=)", files, least)
	}
	b.Connections = min(b.Connections, (files-kept)/each)
	return b, nil
}

// listener accepts no more than that.
type listener struct {
	net.Listener
	bounds  Bounds
	log     *slog.Logger
	changed chan struct{} // holds a value when a spare place may have become free
	closing chan struct{}
	close   func() error

	mu      sync.Mutex
	open    int
	probes  []*conn // in spare places, the oldest first
	refused quota   // connections beyond all others
	failed  quota   // accepts that failed
}

// Listen has a listener accept no more connections than that, which [NewServer] is
// for.
func Listen(l net.Listener, b Bounds, log *slog.Logger) net.Listener {
	return newListener(l, b, log)
}

func newListener(l net.Listener, b Bounds, log *slog.Logger) *listener {
	own := &listener{Listener: l, bounds: b, log: log, changed: make(chan struct{}, 1), closing: make(chan struct{})}
	own.close = sync.OnceValue(func() error { close(own.closing); return l.Close() })
	return own
}

// Close implements [net.Listener].
func (l *listener) Close() error { return l.close() }

// conn is one connection.
type conn struct {
	net.Conn
	from *listener
	once sync.Once

	// Of those in a spare place, under from.mu.
	spare bool
	since time.Time
	role  role
}

// role is what the first request of a spare connection was.
type role int

const (
	unknown role = iota
	probe
	other
)

// silentFor is how long a spare connection may have no whole request when somebody
// else needs its place. Probers send theirs as they come; and who is kept waiting
// by us, because what it sent is still unread, is not silent. So thousands who say
// nothing, or half a line, pass through the spare places in a second or two.
const silentFor = 20 * time.Millisecond

// Accept implements [net.Listener]. net/http comes again after an error that
// passes. Where nobody can go it blocks: those who come then wait in the system's
// queue, where they need no descriptor.
func (l *listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		if !errors.Is(err, net.ErrClosed) {
			if n := l.failed.count(time.Now()); n > 0 {
				l.log.Warn("cannot accept connections", "error", err, "failures", n)
			}
		}
		return nil, err
	}
	c := &conn{Conn: accepted, from: l, since: time.Now()}
	for {
		placed, leaver := l.admit(c)
		if leaver != nil {
			_ = leaver.Close() // Nothing was promised to it.
		}
		if placed {
			return c, nil
		}
		select {
		case <-l.changed:
		case <-time.After(silentFor / 2):
		case <-l.closing:
			_ = accepted.Close() // As above.
			return nil, net.ErrClosed
		}
	}
}

// admit gives c a place if there is one, and says who has to go for it.
func (l *listener) admit(c *conn) (placed bool, leaver *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open < l.bounds.Connections {
		l.open++
		return true, nil
	}
	if n := l.refused.count(time.Now()); n > 0 {
		l.log.Warn("all connections are in use: only probes are answered until some end",
			"connections", l.bounds.Connections, "beyond", n)
	}
	if len(l.probes) >= l.bounds.Spare {
		i := slices.IndexFunc(l.probes, func(p *conn) bool {
			return p.role == other || p.role == unknown && time.Since(p.since) >= silentFor && !unread(p.Conn)
		})
		if i < 0 {
			return false, nil
		}
		leaver = l.probes[i]
		l.probes = slices.Delete(l.probes, i, i+1)
	}
	c.spare, c.since = true, time.Now()
	l.probes = append(l.probes, c)
	return true, leaver
}

// NetConn is the connection below.
func (c *conn) NetConn() net.Conn { return c.Conn }

// CloseWrite ends what is sent, and goes on reading.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// is notes what a spare connection turns out to be.
func (c *conn) is(r role) {
	c.from.mu.Lock()
	c.role = r
	c.from.mu.Unlock()
	c.from.wake()
}

func (l *listener) wake() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		l := c.from
		l.mu.Lock()
		if !c.spare {
			l.open--
		} else if i := slices.Index(l.probes, c); i >= 0 {
			l.probes = slices.Delete(l.probes, i, i+1)
		}
		l.mu.Unlock()
		l.wake()
	})
	return err
}

// quota has something said at most every so often, with how often it happened.
type quota struct {
	since time.Time
	n     int
}

const sayEvery = 10 * time.Second

// count returns how often it has happened since it was said last, or 0 if it was
// said just now.
func (q *quota) count(now time.Time) int {
	q.n++
	if now.Sub(q.since) < sayEvery {
		return 0
	}
	n := q.n
	q.since, q.n = now, 0
	return n
}

type spareKey struct{}

// NewServer is the server of a handler on connections of a listener of [Listen].
// isProbe says which paths have places of their own.
func NewServer(front http.Handler, isProbe func(path string) bool) *http.Server {
	server := httpqueue.NewServer(front)
	server.Handler = sparing(front, isProbe)
	own := server.ConnContext
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if own != nil {
			ctx = own(ctx, c)
		}
		if mine := ownOf(c); mine != nil && mine.spare {
			ctx = context.WithValue(ctx, spareKey{}, mine)
		}
		return ctx
	}
	return server
}

// ownOf is the connection of ours below TLS, or below what keeps quiet, or nil.
func ownOf(c net.Conn) *conn {
	for {
		if mine, ok := c.(*conn); ok {
			return mine
		}
		above, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		c = above.NetConn()
	}
}

// sparing lets requests on spare connections reach only the paths of probes.
// What else comes there is dropped after a moment, because clients come again at
// once, or when somebody newer needs its place.
func sparing(next http.Handler, isProbe func(path string) bool) http.Handler {
	const pause = 100 * time.Millisecond
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		spare, ok := r.Context().Value(spareKey{}).(*conn)
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		if !isProbe(r.URL.Path) {
			spare.is(other)
			select {
			case <-time.After(pause):
			case <-r.Context().Done():
			}
			panic(http.ErrAbortHandler) // a legacy client takes any answer for permission
		}
		spare.is(probe)
		w.Header().Set("Connection", "close")
		next.ServeHTTP(w, r)
	})
}
