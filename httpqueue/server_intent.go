// Whether a request means it. A grant is a unit of the day's budget, so no page
// of another site, probe, crawler, prefetch or unknown protocol gets one.

package httpqueue

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// foreign says why a request that changes something is refused that a browser
// sends: for a page of another site, for a name that has been pointed at this
// machine, or ahead of its user.
//
// guarded says that a token was asked for.
func (h *Handler) foreign(r *http.Request, guarded bool) *problem {
	header := r.Header
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		if v := header.Get(name); v != "" {
			return forbidden(name, v, "no request ahead of its user")
		}
	}
	if v := header.Get("Sec-Fetch-Site"); v != "" && v != "same-origin" && v != "none" {
		return forbidden("Sec-Fetch-Site", v, "same-origin or none: a page of another site may not do this")
	}
	if all, ok := header["Origin"]; ok {
		for _, origin := range all { // "null" has no host
			if u, err := url.Parse(origin); err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
				return forbidden("Origin", origin, "that of this server, or none")
			}
		}
	}
	if !guarded && !h.hostAllowed(r) {
		return forbidden("Host", r.Host, "localhost, a loopback address or a name without a dot, because the server listens on this machine only; others need WithHosts (serve --allow-host)")
	}
	return nil
}

func forbidden(header, value, want string) *problem {
	p := newProblem(http.StatusForbidden, "forbidden", fmt.Sprintf("%s is %.100q: want %s", header, value, want))
	p.Field, p.Value, p.Want = header, fmt.Sprintf("%.100q", value), want
	return p
}

// hostAllowed says whether the name that the client has called the server by may
// be its own. A page can point a name of its site at a loopback address, and is
// of the same origin then. Where a token was asked for, which the page does not
// know, that is as good; the legacy route asks for none.
func (h *Handler) hostAllowed(r *http.Request) bool {
	if r.Host == "" || !onLoopback(r) {
		return true
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	name, addr := nameOf(host)
	switch {
	case slices.ContainsFunc(h.options.hosts, func(allowed string) bool { same, _ := nameOf(allowed); return same == name }):
		return true
	case addr.IsValid():
		return addr.IsLoopback()
	}
	// Nobody can register a name without a dot, so no page has one: those are
	// of /etc/hosts and of containers.
	return !strings.Contains(name, ".") || strings.HasSuffix(name, ".localhost")
}

// nameOf is the one way to write a host, and its address if it is one.
func nameOf(host string) (string, netip.Addr) {
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host, netip.Addr{}
	}
	addr = addr.Unmap().WithZone("")
	return addr.String(), addr
}

// listenerKey is the address that the server of [NewServer] listens on.
type listenerKey struct{}

func withListener(l net.Listener) context.Context {
	return context.WithValue(context.Background(), listenerKey{}, l.Addr())
}

// onLoopback says that the server is reached from this machine only.
func onLoopback(r *http.Request) bool {
	at, ok := r.Context().Value(listenerKey{}).(net.Addr)
	if !ok {
		at, _ = r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	}
	tcp, ok := at.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// notOurs are the first words of the User-Agent of what is no gateway-queue's
// client, though it may send a GET: browsers and crawlers, which begin alike, and
// those who look whether a server lives, or what a link leads to.
var notOurs = []string{
	"Mozilla/", "kube-probe/", "ELB-HealthChecker/", "Amazon-Route53-Health-Check-Service", "GoogleHC/", "Edge Health Probe",
	"Envoy/HC", "Consul Health Check", "Prometheus/", "Blackbox Exporter/", "Blackbox-Exporter/", "Zabbix", "check_http/", "Datadog", "Netdata ",
	"Uptime-Kuma/", "Gatus/", "StatusCake", "Slackbot", "Slack-", "Twitterbot/", "facebookexternalhit/", "TelegramBot ", "WhatsApp/",
}

// strange says why a request is not from a gateway-queue's client, which sends
// GET or POST to / with one shard; empty if it may be one. plainly says that it
// is not one for certain, so that an answer cannot be taken for a grant.
func (h *Handler) strange(r *http.Request) (why string, plainly bool) {
	if r.ProtoMajor != 1 || r.Method == "PRI" {
		return "it is HTTP/2", false
	}
	header, names := r.Header, r.URL.Query().Has("shard")
	if header.Get("Sec-Fetch-Site") != "" || takesPages(r) || strings.HasPrefix(header.Get("Accept"), "image/") {
		return "it is a browser's", true
	}
	for _, name := range notOurs {
		if strings.HasPrefix(header.Get("User-Agent"), name) {
			return "it is a browser's, a crawler's or a probe's", true
		}
	}
	if h.options.lenient {
		return "", false
	}
	_, valid := legacyShard(r.URL.RawQuery)
	switch {
	case !strings.HasPrefix(r.RequestURI, "/") && !strings.HasPrefix(r.RequestURI, "http"): // OPTIONS *, CONNECT
		return "it asks for no path", false
	case r.Method != http.MethodGet && r.Method != http.MethodPost:
		return "the method is neither GET nor POST", !names
	case r.URL.Path != "/" && r.URL.Path != "":
		return "the path is not /", !names
	case !names && r.Method == http.MethodPost && r.ContentLength != 0:
		return "it names no shard in its query", true
	case !names:
		return "it names no shard", false
	case !valid:
		return "its shard is no number, or there are several", false
	}
	return "", false
}

// takesPages says that a request is a browser's that opens a page: every one takes XHTML.
// Java's HttpURLConnection asks for text/html by default, and is no browser.
func takesPages(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "application/xhtml+xml")
}

// opensPage says that somebody has typed the server's address into a browser. A client
// never sends such a request, so it may be answered.
func opensPage(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && (r.URL.Path == "/" || r.URL.Path == "") && r.URL.RawQuery == "" && takesPages(r)
}

// refuseLegacy ends a request that is not from a gateway-queue's client. One that
// could be one after all is not answered, because that takes any answer for
// permission.
func (h *Handler) refuseLegacy(w http.ResponseWriter, r *http.Request) (refused bool) {
	page := h.foreign(r, false)
	why, plainly := h.strange(r)
	if page != nil {
		why, plainly = page.Detail, page.Field != "Host"
	}
	if why == "" {
		return false
	}
	h.refusals.log(h.options.log, r, why)
	if !plainly {
		_ = ctxerr.Sleep(r.Context(), refusalPause)
		drop()
	}
	speak(r)
	if page == nil {
		page = newProblem(http.StatusNotFound, "not-found", "nothing is granted here, as "+why+": /?shard=N is gateway-queue's route, /v1/sandwich Sandwich's, /v1 the API, /dashboard for people")
		if r.Method != http.MethodGet && r.Method != http.MethodPost {
			page.Status, page.Type, page.Title = http.StatusMethodNotAllowed, problemPrefix+"method", http.StatusText(http.StatusMethodNotAllowed)
			page.allow = "GET, POST"
		}
	}
	page.close = true
	page.write(w)
	return true
}

// refusals are told in the log, but not each of a thousand.
type refusals struct {
	mu     sync.Mutex
	full   time.Time // when as many may be told again as at first
	silent int       // since the last that was told
}

const (
	refusalEvery = time.Second
	refusalBurst = 30
)

func (f *refusals) log(log interface{ Warn(string, ...any) }, r *http.Request, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.full.Before(now) {
		f.full = now
	}
	if f.full.Sub(now) >= refusalBurst*refusalEvery {
		f.silent++
		return
	}
	f.full = f.full.Add(refusalEvery)
	log.Warn("refused on gateway-queue's route: nothing is granted", "reason", why, "method", clip(r.Method), "path", clip(r.URL.Path),
		"user_agent", clip(r.UserAgent()), "remote", r.RemoteAddr, "untold_before", f.silent)
	f.silent = 0
}

func clip(s string) string {
	const most = 120
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
