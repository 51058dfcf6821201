// The fake Discord: what it is made of, starting and stopping.

package gatewaytest

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
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
	latency    Delay // guarded by mu
	transit    Delay // guarded by mu
	readyDelay Delay // guarded by mu
	heartbeat  time.Duration
	failures   failures
	zstd       func(io.Writer) Compressor // nil without zstd-stream
	log        *slog.Logger

	payloads         int // 0 is any number
	payloadPeriod    time.Duration
	identifyWithin   time.Duration // 0 is for ever
	heartbeatsExtend bool          // identifyWithin counts from the last heartbeat
	leastShards      int
	disallowed       int64 // intents

	replay         int
	sessionLife    time.Duration // 0 is for ever
	guilds         int           // per shard
	guildSize      int
	messagePace    time.Duration // 0 sends none
	messageContent string

	listener   net.Listener // nil: a free loopback port
	tls        *tls.Config  // nil: plain
	resumeHost *string      // nil: localhost, or what asAsked says
	asAsked    bool
	hostCount  int
	hosts      []gatewayHost
	control    http.Handler

	judge  *Judge
	host   string // host:port of every URL but resume_gateway_url
	port   string
	http   http.Server
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	closing  chan struct{}  // closed when Close begins
	controls sync.WaitGroup // requests to /control
	waiting  atomic.Int32   // of them: those that wait for shards

	mu       sync.Mutex
	closed   bool
	conns    map[*conn]struct{}
	sessions map[string]*session
	shardIDs map[string]int // of sessions, ended ones included
	turn     int            // the host of the last session
	stats    Stats
	ledger   ledger
	disaster bool          // the budget was overrun: the token is void
	changed  chan struct{} // closed and replaced whenever a session changes

	noResumes, noGatewayBot time.Time // until then
}

// NewServer starts a server, on a free loopback port unless it is given a
// listener. Like httptest, it panics if that fails; it also panics on settings
// that are not valid. Call Close when done.
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
		shardIDs:  make(map[string]int),
		ledger:    make(ledger),
		changed:   make(chan struct{}),
		closing:   make(chan struct{}),

		payloads: DefaultPayloads, payloadPeriod: DefaultPayloadPeriod,
		replay: DefaultReplay, guildSize: leastGuild,
	}
	for _, opt := range opts {
		opt(s)
	}
	if err := s.validate(); err != nil {
		panic(err)
	}
	s.judge = NewJudge(s.limit, s.window)
	s.ctx, s.cancel = context.WithCancel(context.Background())

	if s.listener == nil {
		s.listener = listen()
	}
	s.host = s.listener.Addr().String()
	_, s.port, _ = net.SplitHostPort(s.host) // Without a port in a listener of the test's own.
	s.control = controlRoutes(s)
	s.http.Handler = http.HandlerFunc(s.serve)
	s.http.ConnContext = withConn
	s.http.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)
	var extra []net.Listener
	for range s.hostCount {
		listener := listenBeside(s.listener)
		_, port, _ := net.SplitHostPort(listener.Addr().String()) // It is an address.
		s.hosts = append(s.hosts, gatewayHost{port: port})
		extra = append(extra, listener)
	}
	s.serveOn(s.listener, front)
	for host, listener := range extra {
		s.serveOn(listener, host)
	}
	if s.messagePace > 0 {
		s.wg.Go(s.sendMessages)
	}
	return s
}

// Close severs all connections, stops the server and waits until none of its
// goroutines for connections is left. It may be called more than once.
func (s *Server) Close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		close(s.closing)
	}
	s.controls.Wait() // Callers that wait over HTTP have their answers.
	s.cancel()
	_ = s.http.Close() // Nothing can be done about it.
	s.wg.Wait()
}

// URL is the base of the HTTP side, such as http://127.0.0.1:40404, with no
// slash at its end. Every route is there also below /api, /api/v9 and /api/v10.
func (s *Server) URL() string { return s.scheme("http") + s.host }

// scheme is the beginning of a URL, with an s after name if the server speaks TLS.
func (s *Server) scheme(name string) string {
	if s.tls != nil {
		name += "s"
	}
	return name + "://"
}

// GatewayURL is where clients connect, such as ws://127.0.0.1:40404.
func (s *Server) GatewayURL() string { return s.scheme("ws") + s.host }

// ResumeURL is the resume_gateway_url of every READY, unless [WithHosts] makes
// hosts for it. It leads to the same server by another host name, so that a
// client's dialer can tell a resume from a first connection, as it can with
// Discord.
func (s *Server) ResumeURL() string { return s.resumeURL(front, s.host) }

// Token is the bot's token, without "Bot ".
func (s *Server) Token() string { return s.token }

// Judge has the record of every IDENTIFY, and says what was wrong with them. Its
// own routes (see [Judge.ServeHTTP]) are served below URL() + "/judge", and what
// can be done to the server below "/control" (see docs/fake-discord.md).
func (s *Server) Judge() *Judge { return s.judge }
