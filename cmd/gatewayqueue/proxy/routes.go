// What is served beside the gateway, and who may see it.

package proxy

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/server"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
)

const (
	// looks are made at a time, of /metrics and /v1/shards each, in the order they
	// came; what they have made may be read for longer.
	looks = 4

	// answerTimeout is how long an answer of ours may take to be read.
	answerTimeout = 10 * time.Second
)

// isProbe says which paths have places of their own.
func isProbe(path string) bool {
	return path == "/healthz" || path == "/readyz" || path == "/metrics" || strings.HasPrefix(path, shardPath)
}

// routes is the handler of all paths. Those that are none of ours are the proxy's:
// libraries connect to any path.
func (s *service) routes(m *metrics) http.Handler {
	guard := func(h http.Handler) http.Handler { return server.Guarded(s.config.Auth, server.Buffered(looks, h)) }
	ours := map[string]http.Handler{
		"/healthz":   http.HandlerFunc(server.Healthy),
		"/readyz":    s.ready,
		"/metrics":   guard(promhttp.HandlerFor(m.registry(s.proxy), promhttp.HandlerOpts{})),
		"/v1/shards": guard(http.HandlerFunc(s.shards)),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, ok := ours[r.URL.Path]
		if !ok && strings.HasPrefix(r.URL.Path, shardPath) {
			h, ok = http.HandlerFunc(s.shardReady), true
		}
		if !ok {
			answerWithin(w, time.Time{}) // What was set for an earlier request of this connection.
			s.proxy.ServeHTTP(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "want GET", http.StatusMethodNotAllowed)
			return
		}
		answerWithin(w, time.Now().Add(answerTimeout))
		h.ServeHTTP(w, r)
	})
}

func answerWithin(w http.ResponseWriter, deadline time.Time) {
	_ = http.NewResponseController(w).SetWriteDeadline(deadline) // A connection that is closed says so itself.
}

// view is what GET /v1/shards answers.
type view struct {
	Time   time.Time            `json:"time"`
	Proxy  string               `json:"proxy"` // the name of this one
	Stats  gatewayproxy.Stats   `json:"stats"` // of all applications
	Storm  gatewayqueue.Storm   `json:"storm"` // of the application, or the worst of all
	Shards []gatewayproxy.Shard `json:"shards"`
}

func (s *service) shards(w http.ResponseWriter, r *http.Request) {
	app := r.URL.Query().Get("app")
	v := view{Time: time.Now(), Proxy: s.config.name(), Stats: s.proxy.Stats(), Storm: s.proxy.Storm(app), Shards: s.proxy.Shards(app)}
	if v.Shards == nil {
		v.Shards = []gatewayproxy.Shard{} // none, rather than null
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // A client that does not read it does not need it.
}
