// What is served beside the queue itself, and who may see it.

package serve

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/server"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/promqueue"
)

// about is the foot of the page: which program this is, on which queue, and since when.
func (s *service) about() string {
	name := "gatewayqueue"
	if info, ok := debug.ReadBuildInfo(); ok && strings.HasPrefix(info.Main.Version, "v") {
		name += " " + info.Main.Version
	}
	return fmt.Sprintf("%s. The queue is %s. This server runs since %s.", name, s.queue.name, time.Now().UTC().Format("Jan 2, 15:04 MST"))
}

func newMetrics() *promqueue.Collector { return promqueue.New() }

// routes is the handler of all paths. A ServeMux would answer some by itself,
// which gateway-queue's clients take for a grant.
func (s *service) routes(metrics *promqueue.Collector) (*httpqueue.Handler, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	guard := func(h http.Handler) http.Handler { return server.Guarded(s.config.Auth, h) }
	board := guard(s.board)
	var options []httpqueue.Option
	if s.apps != nil { // before /dashboard/
		options = append(options, httpqueue.WithRoute(appPath, guard(s.apps)))
	}
	options = append(options,
		httpqueue.WithLogger(s.log),
		httpqueue.WithMaxWaiters(s.config.MaxWaiters),
		httpqueue.WithGrantMargin(s.config.grantMargin()),
		httpqueue.WithRoute("/healthz", http.HandlerFunc(server.Healthy)),
		httpqueue.WithRoute("/readyz", s.ready),
		httpqueue.WithRoute("/metrics", guard(server.Buffered(scrapes, promhttp.HandlerFor(registry, promhttp.HandlerOpts{})))),
		httpqueue.WithRoute("/dashboard", board),
		httpqueue.WithRoute("/dashboard/", board),
		httpqueue.WithPage("/dashboard"),
	)
	if s.config.Auth != "" {
		options = append(options, httpqueue.WithBearerToken(s.config.Auth))
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

// isProbe says which paths have places of their own.
func isProbe(path string) bool {
	return path == "/healthz" || path == "/readyz" || path == "/metrics"
}

// grantMargin is the part of the margin that the queue does not add itself when
// a grant is reported identified.
func (c *config) grantMargin() time.Duration {
	return c.Margin - gatewayqueue.IdentifiedMargin
}
