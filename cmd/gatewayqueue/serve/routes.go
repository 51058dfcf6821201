// What is served beside the queue itself, and who may see it.

package serve

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/promqueue"
)

// about is the foot of the page: which program this is, on which queue, and since when.
func (s *server) about() string {
	name := "gatewayqueue"
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		name += " " + info.Main.Version
	}
	return fmt.Sprintf("%s. The queue is %s. This server runs since %s.", name, s.queue.name, time.Now().UTC().Format("Jan 2, 15:04 MST"))
}

func newMetrics() *promqueue.Collector { return promqueue.New() }

// routes is the handler of all paths. A ServeMux would answer some by itself,
// which gateway-queue's clients take for a grant.
func (s *server) routes(metrics *promqueue.Collector) (*httpqueue.Handler, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	guard := func(h http.Handler) http.Handler { return guarded(s.config.auth, h) }
	board := guard(s.board)
	options := []httpqueue.Option{
		httpqueue.WithLogger(s.log),
		httpqueue.WithMaxWaiters(s.config.MaxWaiters),
		httpqueue.WithGrantMargin(s.config.grantMargin()),
		httpqueue.WithRoute("/healthz", http.HandlerFunc(healthy)),
		httpqueue.WithRoute("/readyz", s.ready),
		httpqueue.WithRoute("/metrics", guard(buffered(scrapes, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})))),
		httpqueue.WithRoute("/dashboard", board),
		httpqueue.WithRoute("/dashboard/", board),
		httpqueue.WithPage("/dashboard"),
	}
	if s.config.auth != "" {
		options = append(options, httpqueue.WithBearerToken(s.config.auth))
	}
	if s.config.NoLegacy {
		options = append(options, httpqueue.WithoutLegacy())
	}
	if s.config.Lenient {
		options = append(options, httpqueue.WithLenientLegacy())
	}
	options = append(options, httpqueue.WithHosts(s.config.AllowHosts...))
	if s.queue.shared != nil {
		return httpqueue.NewSharedHandler(s.queue.shared, options...)
	}
	return httpqueue.NewHandler(s.queue.queue, options...)
}

// scrapes are made at a time, in the order they came; what they have made may be
// read for longer.
const scrapes = 4

// probes are the paths that have places of their own.
var probes = []string{"/healthz", "/readyz", "/metrics"}

// snapshot is the queue as it was within the last second: a status blocks Redis
// for the longer the more shards there are, and any number may scrape.
type snapshot struct {
	queue gatewayqueue.Statuser

	mu     sync.Mutex
	taken  time.Time
	status gatewayqueue.Status
	err    error
}

const freshFor = time.Second

// Status implements [gatewayqueue.Statuser]. Who comes while it is taken waits
// for it.
func (s *snapshot) Status(ctx context.Context) (gatewayqueue.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.taken) >= freshFor {
		s.status, s.err = s.queue.Status(ctx)
		s.taken = time.Now()
	}
	return s.status, s.err
}

// buffered has an answer made before it is sent, so that a client that does not
// read it keeps nobody else from having one made. Whoever comes while n are made
// waits: to be refused for what others ask is what a flood of requests is after.
func buffered(n int, h http.Handler) http.Handler {
	places := make(chan struct{}, n)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
		case <-r.Context().Done():
			return // nobody is there to read it
		}
		made := &answer{header: w.Header(), status: http.StatusOK}
		func() {
			defer func() { <-places }()
			h.ServeHTTP(made, r)
		}()
		w.WriteHeader(made.status)
		_, _ = made.body.WriteTo(w) // Who does not read it does not need it.
	})
}

type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

// grantMargin is the part of the margin that the queue does not add itself when
// a grant is reported identified.
func (c *config) grantMargin() time.Duration {
	return c.Margin - gatewayqueue.IdentifiedMargin
}

// guarded asks for the token: as a bearer's, or as the password of any user,
// which is what a browser can send.
func guarded(token string, h http.Handler) http.Handler {
	if token == "" {
		return h
	}
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !found {
			_, given, _ = r.BasicAuth()
		}
		got := sha256.Sum256([]byte(given))
		if subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
			h.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="gatewayqueue: the token is the password", charset="UTF-8"`)
		http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
	})
}

// healthy says that the process answers. Whoever restarts it must not mind that
// Redis is away: a restart mends nothing.
func healthy(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n") // Who does not read it does not need it.
}
