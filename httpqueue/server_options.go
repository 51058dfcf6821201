// The options of a handler.

package httpqueue

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Defaults of the options below.
const (
	DefaultMaxWaiters = 16384

	// DefaultGrantMargin makes a window that starts at an answer as long as
	// one that starts at a grant of Wait.
	DefaultGrantMargin = gatewayqueue.GrantMargin - gatewayqueue.IdentifiedMargin
)

// Option changes one default of [NewHandler].
type Option func(*options)

type options struct {
	token      string
	maxWaiters int
	margin     time.Duration
	noLegacy   bool
	lenient    bool
	hosts      []string
	routes     []route
	page       string // empty for none
	log        *slog.Logger
}

// route is one of the caller's own.
type route struct {
	path    string
	handler http.Handler
}

func (r route) matches(path string) bool {
	return path == r.path || strings.HasSuffix(r.path, "/") && strings.HasPrefix(path, r.path)
}

func defaultOptions() options {
	return options{
		maxWaiters: DefaultMaxWaiters, margin: DefaultGrantMargin,
		log: slog.New(slog.DiscardHandler),
	}
}

// WithBearerToken has /v1 ask for "Authorization: Bearer token"; by default it
// asks for nothing. The token also signs the IDs of permits and the tickets, so
// servers that share a Redis must share it. The legacy route cannot ask: close
// it to strangers by other means, or with [WithoutLegacy].
func WithBearerToken(token string) Option { return func(o *options) { o.token = token } }

// WithMaxWaiters bounds how many requests may wait at a time, 1 or more, by
// default 16384. Beyond it legacy requests are dropped, and /v1 answers 503.
func WithMaxWaiters(n int) Option { return func(o *options) { o.maxWaiters = n } }

// WithGrantMargin sets how long after the answer to a legacy request its window
// begins, 0 to 1 minute, for the jitter between the answer and IDENTIFY; by
// default 200 ms. The queue's own margin after Identified comes on top of it.
func WithGrantMargin(d time.Duration) Option { return func(o *options) { o.margin = d } }

// WithoutLegacy answers 404 where the legacy route would be.
func WithoutLegacy() Option { return func(o *options) { o.noLegacy = true } }

// WithLenientLegacy has the legacy route take what the original takes: any
// method and path, and a shard that is missing, repeated or no number, for 0. By
// default it takes GET and POST of /?shard=N only, because anything else is a
// probe, a crawler or a mistake, and each would cost an identify of the day. What
// a browser, a crawler or a known probe sends is refused all the same.
func WithLenientLegacy() Option { return func(o *options) { o.lenient = true } }

// WithHosts names hosts or addresses, without ports, by which clients may call a
// server that listens on a loopback address, where it asks for no token, as behind
// a proxy on the same machine. The legacy route never asks for one. localhost,
// loopback addresses and names without a dot always may. Anything else is refused
// where it changes something: a page can point its own name at this machine.
func WithHosts(hosts ...string) Option {
	return func(o *options) { o.hosts = append(o.hosts, hosts...) }
}

// WithRoute serves a path, or all paths below it if it ends in a slash, with
// another handler, such as "/metrics". Use it rather than a [http.ServeMux]
// around the handler: a ServeMux answers some requests by itself, with a
// redirect for instance, and legacy clients take that for permission.
func WithRoute(path string, handler http.Handler) Option {
	return func(o *options) { o.routes = append(o.routes, route{path, handler}) }
}

// WithPage leads a browser that opens / without a shard to the page at a path, such as
// "/dashboard", which a route serves. By default it is answered 404: it never was
// granted anything.
func WithPage(path string) Option { return func(o *options) { o.page = path } }

// WithLogger sets where the handler reports what it could not tell a client;
// nowhere by default. No token and no body is ever logged.
func WithLogger(l *slog.Logger) Option { return func(o *options) { o.log = l } }

func (o *options) validate() error {
	bad := func(field string, value any, want string) error {
		return &gatewayqueue.InvalidError{Field: field, Value: value, Want: want}
	}
	switch {
	case o.maxWaiters < 1:
		return bad("waiters", o.maxWaiters, "1 or more")
	case o.margin < 0 || o.margin > time.Minute:
		return bad("grant margin", o.margin, "0s to 1m")
	case o.log == nil:
		return bad("logger", "nil", "a *slog.Logger; leave the option out for silence")
	case strings.ContainsAny(o.token, " \t\r\n"):
		return bad("bearer token", "one with blanks", "no blanks")
	}
	for _, host := range o.hosts {
		if _, addr := nameOf(host); host == "" || !addr.IsValid() && strings.ContainsAny(host, ":/ []") {
			return bad("host", fmt.Sprintf("%q", host), "a name or address without a port, such as queue.example")
		}
	}
	if o.page != "" && (!strings.HasPrefix(o.page, "/") || strings.HasPrefix(o.page, "//") || o.page == "/") {
		return bad("page", fmt.Sprintf("%q", o.page), "a path on this server other than /, such as /dashboard")
	}
	for _, r := range o.routes {
		if !strings.HasPrefix(r.path, "/") || r.handler == nil {
			return bad("route", fmt.Sprintf("%q", r.path), "a path that begins with a slash, and a handler")
		}
		if r.path == "/v1" || strings.HasPrefix(r.path, "/v1/") || r.path == "/" {
			return bad("route", fmt.Sprintf("%q", r.path), "a path outside /v1, and not all of them")
		}
	}
	return nil
}
