// What is served beside the queue itself, and who may see it.

package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"io"
	"net/http"
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
		httpqueue.WithRoute("/metrics", guard(promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))),
		httpqueue.WithRoute("/dashboard", board),
		httpqueue.WithRoute("/dashboard/", board),
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

// readiness says whether requests should come here: Redis answers, and the
// server is not about to end. Anybody may ask, so it looks at most once in a
// readyFor.
type readiness struct {
	queue *backend

	mu      sync.Mutex
	ending  bool
	looked  time.Time
	trouble string
}

const (
	readyFor     = time.Second
	readyTimeout = 2 * time.Second
)

func newReadiness(b *backend) *readiness { return &readiness{queue: b} }

func (r *readiness) stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ending = true
}

func (r *readiness) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if why := r.why(req.Context()); why != "" {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "not ready: "+why+"\n") // As above.
		return
	}
	_, _ = io.WriteString(w, "ready\n") // As above.
}

// why is why it is not ready, without anything that a stranger should not know.
func (r *readiness) why(ctx context.Context) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ending {
		return "stopping"
	}
	if time.Since(r.looked) < readyFor {
		return r.trouble
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	r.trouble = ""
	if _, err := r.queue.Status(ctx); err != nil {
		r.trouble = "the queue cannot be read"
	}
	r.looked = time.Now()
	return r.trouble
}
