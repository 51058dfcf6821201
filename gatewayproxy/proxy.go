package gatewayproxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn"
)

// Proxy is an [http.Handler] that bots connect to as if it were Discord's gateway.
// Its methods may be called from any number of goroutines.
type Proxy struct {
	hosts     hosts
	external  string
	api       *url.URL
	wholeAPI  bool
	linger    time.Duration
	mostHeld  time.Duration
	late      time.Duration // the interval that HELLO asks for; 0 to dial at once
	dialer    gatewayconn.Dialer
	transport http.RoundTripper
	many      int // refused sessions a minute that are a storm
	floor     int // units that are not granted in one
	name      string
	log       *slog.Logger
	observe   func(Event)

	ctx     context.Context // of all connections
	cancel  context.CancelCauseFunc
	open    context.Context // ends with Shutdown: no IDENTIFY leaves after it
	closing context.CancelCauseFunc
	sends   gatewayconn.Sends
	reports gatewayconn.Reports
	bots    bots
	sights  sights

	mu    sync.Mutex
	conns map[*conn]struct{}
	all   sync.WaitGroup // of conns
	stats Stats
}

var errClosing = errors.New("gatewayproxy: the proxy ends")

// New returns a proxy for bots whose queues find gives; [One] is for a single queue.
// An option out of its range is an [gatewayqueue.InvalidError]. Close it with
// [Proxy.Shutdown].
func New(find Queues, opts ...Option) (*Proxy, error) {
	p := &Proxy{
		linger: DefaultLinger, many: DefaultStorm, transport: http.DefaultTransport, log: slog.Default(), observe: func(Event) {},
		conns: make(map[*conn]struct{}),
	}
	p.hosts.also = make(map[string]gateway)
	for _, opt := range append([]Option{WithGateway(DefaultGateway), WithAPI(DefaultAPI, false)}, opts...) {
		if err := opt(p); err != nil {
			return nil, err
		}
	}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	p.open, p.closing = context.WithCancelCause(context.Background())
	p.bots = bots{p: p, find: find, ctx: p.ctx, unproven: make(chan struct{}, mostUnproven), entries: make(map[[sha256.Size]byte]*entry)}
	p.sights = sights{p: p, shards: make(map[key]*shard), refused: make(map[string]int), identified: make(map[string]int), sessions: make(map[sessionHash]key)}
	return p, nil
}

// ServeHTTP connects a bot, or answers a request of Discord's API.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if rest, ok := strings.CutPrefix(r.URL.Path, "/api/"); ok {
		p.serveAPI(w, r, rest)
		return
	}
	if err := p.connect(w, r); err != nil {
		p.count(func(s *Stats) { s.Refused++ })
		p.refuse(w, r, err)
	}
}

// connect connects a bot, and returns once it is, so that net/http lets go what it
// keeps of the request. After an error nothing was answered.
func (p *Proxy) connect(w http.ResponseWriter, r *http.Request) error {
	if err := checkUpgrade(r); err != nil {
		return err
	}
	way, ok := p.hosts.wayOf(r.URL.Path)
	if !ok {
		return &refused{http.StatusForbidden, "the path leads to no gateway of Discord's"}
	}
	wishes, err := wishesOf(r.URL.RawQuery)
	if err != nil {
		return err
	}
	if p.open.Err() != nil {
		return &refused{http.StatusServiceUnavailable, "the proxy ends: connect again"}
	}
	external, err := p.externalOf(r)
	if err != nil {
		return err
	}
	header := passed(r.Header)
	var first *upgraded
	answer := http.Header{}
	if p.late == 0 {
		if first, err = p.dial(r.Context(), way.to, wishes.query, header); err != nil {
			return err
		}
		answer = first.header
	}
	client, in, err := accept(w, r, answer)
	if err != nil {
		if first != nil {
			_ = first.conn.Close()
		}
		p.log.Debug("a bot is gone before it was answered", "error", err)
		return nil
	}
	c := p.newConn(client, in, way, wishes, header, external)
	if !p.came(c) {
		c.cut(errClosing)
		if first != nil {
			_ = first.conn.Close()
		}
		return nil
	}
	go c.serve(first)
	return nil
}

// refuse answers a request that does not become a connection: as Discord has, or with
// why.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var own *refused
	var theirs *answered
	switch {
	case errors.As(err, &own):
		switch own.status { // what HTTP has an answer say beside it
		case http.StatusUpgradeRequired:
			w.Header().Set("Upgrade", "websocket")
			w.Header().Set("Sec-Websocket-Version", "13")
		case http.StatusMethodNotAllowed:
			w.Header().Set("Allow", http.MethodGet)
		}
		http.Error(w, "gatewayqueue proxy: "+own.why, own.status)
	case errors.As(err, &theirs):
		for name, values := range theirs.header {
			w.Header()[name] = values
		}
		w.WriteHeader(theirs.status)
		_, _ = bytes.NewReader(theirs.body).WriteTo(w) //nolint:errcheck // The client is gone, then.
	case r.Context().Err() != nil:
	default:
		p.count(func(s *Stats) { s.FailedDials++ })
		p.log.Warn("Discord's gateway cannot be reached", "path", r.URL.Path, "error", err)
		http.Error(w, "gatewayqueue proxy: Discord's gateway cannot be reached", http.StatusBadGateway)
	}
}

// externalOf is the address by which bots reach the proxy, as this one has.
func (p *Proxy) externalOf(r *http.Request) (string, error) {
	if p.external != "" {
		return p.external, nil
	}
	scheme := "ws://"
	if r.TLS != nil {
		scheme = "wss://"
	}
	u, err := url.Parse(scheme + r.Host)
	if err != nil || u.Host != r.Host || u.Host == "" || u.User != nil {
		return "", &refused{http.StatusBadRequest, "Host: want a host name, with a port or without"}
	}
	return scheme + r.Host, nil
}

// came takes a connection in, unless the proxy ends.
func (p *Proxy) came(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open.Err() != nil {
		return false
	}
	p.conns[c] = struct{}{}
	p.all.Add(1)
	p.stats.Accepted++
	return true
}

// gone takes it out.
func (p *Proxy) gone(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.conns[c]; !ok {
		return
	}
	delete(p.conns, c)
	p.stats.BytesToBots += c.sight.received.Load()
	p.stats.BytesToDiscord += c.sight.sent.Load()
	p.all.Done()
}

func (p *Proxy) count(add func(*Stats)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	add(&p.stats)
}

// Stats returns the counts so far.
func (p *Proxy) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Connections = len(p.conns)
	for c := range p.conns {
		s.BytesToBots += c.sight.received.Load()
		s.BytesToDiscord += c.sight.sent.Load()
		if c.holds() {
			s.Held++
		}
	}
	return s
}

// Shards returns what was seen of each shard through this proxy, of one application
// or, for an empty app, of all, in their order.
func (p *Proxy) Shards(app string) []Shard { return p.sights.list(app) }

// Shutdown closes every bot's connection with 4000, after which libraries resume, and
// Discord's without a close frame, so that they can: no IDENTIFY is spent. No IDENTIFY
// leaves once it has returned; permits that were held for one go back. It blocks until
// the connections are over and the queues have heard, or ctx ends; then the rest is
// cut. Queues that are closers are closed. It may be called again.
func (p *Proxy) Shutdown(ctx context.Context) error {
	p.closing(errClosing)
	p.sends.Wait()
	p.mu.Lock()
	var open []*conn
	for c := range p.conns {
		open = append(open, c)
	}
	p.mu.Unlock()
	for _, c := range open {
		c.finish(codeComeBack, "the proxy ends: connect again, and resume")
	}
	over := make(chan struct{})
	go func() { p.all.Wait(); close(over) }()
	var err error
	select {
	case <-over:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	p.cancel(errClosing)
	for _, c := range open {
		c.cut(errClosing)
	}
	p.reports.Wait(ctx)
	p.bots.closeAll()
	return err
}
