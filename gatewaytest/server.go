// The fake Discord: starting, stopping, and its HTTP side.

package gatewaytest

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Server is a fake Discord on a loopback port: GET /gateway, GET /gateway/bot
// and a WebSocket gateway that enforces what Discord enforces. Its methods may
// be called from any number of goroutines.
type Server struct {
	limit      gatewayqueue.SessionStartLimit
	window     time.Duration
	token      string
	shards     int
	latency    Delay
	transit    Delay
	readyDelay Delay
	heartbeat  time.Duration
	failures   failures
	zstd       func(io.Writer) Compressor // nil without zstd-stream
	log        *slog.Logger

	judge  *Judge
	host   string // host:port of every URL but resume_gateway_url
	port   string
	http   http.Server
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	conns    map[*conn]struct{}
	sessions map[string]*session
	stats    Stats
	disaster bool          // the budget was overrun: the token is void
	changed  chan struct{} // closed and replaced whenever a session changes
}

// NewServer starts a server on a free loopback port. Like httptest, it panics if
// that fails; it also panics on limits that are not valid. Call Close when done.
func NewServer(opts ...Option) *Server {
	s := &Server{
		limit:     gatewayqueue.DefaultLimit(),
		window:    gatewayqueue.IdentifyDelay,
		token:     DefaultToken,
		shards:    1,
		heartbeat: DefaultHeartbeat,
		log:       slog.New(slog.DiscardHandler),
		conns:     make(map[*conn]struct{}),
		sessions:  make(map[string]*session),
		changed:   make(chan struct{}),
	}
	for _, opt := range opts {
		opt(s)
	}
	if s.heartbeat < time.Millisecond {
		panic(&gatewayqueue.InvalidError{Field: "heartbeat interval", Value: s.heartbeat, Want: "1 ms or more"})
	}
	s.judge = NewJudge(s.limit, s.window)
	s.ctx, s.cancel = context.WithCancel(context.Background())

	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic("gatewaytest: " + err.Error())
	}
	s.host = listener.Addr().String()
	_, s.port, _ = net.SplitHostPort(s.host) // It is an address.
	s.http.Handler = http.HandlerFunc(s.serve)
	s.http.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, tcpKey{}, c)
	}
	s.http.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)
	s.wg.Go(func() { _ = s.http.Serve(listener) }) // Ends with Close.
	return s
}

// Close severs all connections, stops the server and waits until none of its
// goroutines for connections is left. It may be called more than once.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	_ = s.http.Close() // Nothing can be done about it.
	s.wg.Wait()
}

// URL is the base of the HTTP side, such as http://127.0.0.1:40404, with no
// slash at its end. Every route is there also below /api, /api/v9 and /api/v10.
func (s *Server) URL() string { return "http://" + s.host }

// GatewayURL is where clients connect, such as ws://127.0.0.1:40404.
func (s *Server) GatewayURL() string { return "ws://" + s.host }

// ResumeURL is the resume_gateway_url of every READY. It leads to the same
// server by another host name, so that a client's dialer can tell a resume from
// a first connection, as it can with Discord.
func (s *Server) ResumeURL() string { return "ws://localhost:" + s.port }

// Token is the bot's token, without "Bot ".
func (s *Server) Token() string { return s.token }

// Judge has the record of every IDENTIFY, and says what was wrong with them. Its
// own routes (see [Judge.ServeHTTP]) are served below URL() + "/judge".
func (s *Server) Judge() *Judge { return s.judge }

var versionPrefix = regexp.MustCompile(`^/api(/v\d+)?(/|$)`)

// serve answers what Discord answers, and 404 to all else. The judge's own
// routes are below /judge.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		s.serveGateway(w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/judge/") {
		http.StripPrefix("/judge", s.judge).ServeHTTP(w, r)
		return
	}
	switch r.Method + " " + versionPrefix.ReplaceAllString(r.URL.Path, "/") {
	case "GET /gateway":
		writeJSON(w, http.StatusOK, map[string]string{"url": s.GatewayURL()})
	case "GET /gateway/bot":
		token, isBot := strings.CutPrefix(r.Header.Get("Authorization"), "Bot ")
		if !isBot || !s.authentic(token) {
			writeError(w, http.StatusUnauthorized)
			return
		}
		writeJSON(w, http.StatusOK, gatewayBot{s.GatewayURL(), s.shards, s.judge.Limit()})
	default:
		writeError(w, http.StatusNotFound)
	}
}

// authentic reports whether token is the bot's, and still good.
func (s *Server) authentic(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return token == s.token && !s.disaster
}

// writeError answers with an error in Discord's form.
func writeError(w http.ResponseWriter, status int) {
	writeJSON(w, status, map[string]any{"message": fmt.Sprintf("%d: %s", status, http.StatusText(status)), "code": 0})
}
