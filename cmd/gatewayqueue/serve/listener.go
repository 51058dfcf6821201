// Connections: as many as there are file descriptors for, with some kept back
// for Redis, Discord and probes. Without a bound a server that is out of
// descriptors cannot dial Redis, so nobody is granted, so nobody leaves.

package serve

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

// bounds are how many connections there may be.
type bounds struct {
	connections int // of anybody
	spare       int // more, for probes: of others the oldest has to go
	files       int // the limit that they follow from; 0 for none
}

// Descriptors that are kept back, besides those for Redis.
const (
	forDiscord = 8  // and its name servers
	forProcess = 24 // standard streams, the poller, what a scrape opens in /proc
	mostSpare  = 32
	leastRoom  = 8 // connections below which serving makes no sense
)

// within divides files among those who need some; forRedis of them are Redis's.
// waiters is how many may wait: each has a connection, and may need a second
// one to leave or report.
func within(files, forRedis, waiters int) (bounds, error) {
	b := bounds{connections: 2*waiters + 256, spare: mostSpare, files: files}
	if files == 0 {
		return b, nil
	}
	b.spare = min(mostSpare, max(4, files/16))
	kept := forRedis + forDiscord + forProcess + b.spare
	if files < kept+leastRoom {
		return b, fmt.Errorf("only %d files may be open: want %d or more (ulimit -n, LimitNOFILE=)", files, kept+leastRoom)
	}
	b.connections = min(b.connections, files-kept)
	return b, nil
}

// listener accepts no more than that.
type listener struct {
	net.Listener
	bounds bounds
	log    *slog.Logger

	mu      sync.Mutex
	open    int
	probes  []*conn // in spare places, the oldest first
	refused quota   // connections that had to go
	failed  quota   // accepts that failed
}

func newListener(l net.Listener, b bounds, log *slog.Logger) *listener {
	return &listener{Listener: l, bounds: b, log: log}
}

// conn is one connection.
type conn struct {
	net.Conn
	from  *listener
	spare bool
	once  sync.Once
}

// Accept implements [net.Listener]. net/http comes again after an error that
// passes.
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
	c := &conn{Conn: accepted, from: l}
	if oldest := l.admit(c); oldest != nil {
		_ = oldest.Close() // Nothing was promised to it.
	}
	return c, nil
}

// admit gives c a place, and returns who has to go for it.
func (l *listener) admit(c *conn) (oldest *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open < l.bounds.connections {
		l.open++
		return nil
	}
	c.spare = true
	l.probes = append(l.probes, c)
	if len(l.probes) > l.bounds.spare {
		oldest = l.probes[0]
		l.probes = l.probes[1:]
	}
	if n := l.refused.count(time.Now()); n > 0 {
		l.log.Warn("all connections are in use: only probes are answered until some end",
			"connections", l.bounds.connections, "beyond", n)
	}
	return oldest
}

// Close implements [net.Conn].
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		l := c.from
		l.mu.Lock()
		defer l.mu.Unlock()
		if !c.spare {
			l.open--
		} else if i := slices.Index(l.probes, c); i >= 0 {
			l.probes = slices.Delete(l.probes, i, i+1)
		}
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

// newServer is the server of a handler on connections of a listener.
func newServer(front *httpqueue.Handler) *http.Server {
	server := httpqueue.NewServer(front)
	server.Handler = sparing(front)
	own := server.ConnContext
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if own != nil {
			ctx = own(ctx, c)
		}
		if wrapped, ok := c.(interface{ NetConn() net.Conn }); ok {
			c = wrapped.NetConn()
		}
		if mine, ok := c.(*conn); ok && mine.spare {
			ctx = context.WithValue(ctx, spareKey{}, true)
		}
		return ctx
	}
	return server
}

// sparing lets requests on spare connections reach only the paths of probes.
// What else comes there is dropped after a moment, because clients come again at
// once, or when somebody newer needs its place.
func sparing(next http.Handler) http.Handler {
	const pause = 100 * time.Millisecond
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(spareKey{}) == nil {
			next.ServeHTTP(w, r)
			return
		}
		if !slices.Contains(probes, r.URL.Path) {
			select {
			case <-time.After(pause):
			case <-r.Context().Done():
			}
			panic(http.ErrAbortHandler) // a legacy client takes any answer for permission
		}
		w.Header().Set("Connection", "close")
		next.ServeHTTP(w, r)
	})
}
