// The HTTP side: the routes that libraries ask before they connect.

package gatewaytest

import (
	"fmt"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var versionPrefix = regexp.MustCompile(`^/api(/v\d+)?(/|$)`)

// serve answers what Discord answers, and 404 to all else. The judge's own
// routes are below /judge, those of a test below /control.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		s.serveGateway(w, r)
		return
	}
	if r.URL.Path == "/judge/shards" && r.Method == http.MethodGet {
		writeJSON(w, http.StatusOK, s.Shards())
		return
	}
	if r.URL.Path == "/control" || strings.HasPrefix(r.URL.Path, "/control/") {
		if !s.enter() {
			writeError(w, http.StatusServiceUnavailable)
			return
		}
		defer s.controls.Done()
		s.control.ServeHTTP(w, r)
		_ = http.NewResponseController(w).Flush() // before Close goes on; a client that is gone is no error here
		return
	}
	if strings.HasPrefix(r.URL.Path, "/judge/") {
		http.StripPrefix("/judge", s.judge).ServeHTTP(w, r)
		return
	}
	route := r.Method + " " + versionPrefix.ReplaceAllString(r.URL.Path, "/")
	if route == "GET /gateway" { // Discord answers it to anybody.
		writeJSON(w, http.StatusOK, map[string]string{"url": s.gatewayURL(r)})
		return
	}
	answer, known := map[string]func() any{
		"GET /gateway/bot": func() any {
			return gatewayBot{s.gatewayURL(r), s.shards, s.judge.Limit()}
		},
		"GET /users/@me":               func() any { return botUser() },
		"GET /oauth2/applications/@me": func() any { return s.application() },
		"GET /applications/@me":        func() any { return s.application() },
	}[route]
	switch token, isBot := strings.CutPrefix(r.Header.Get("Authorization"), "Bot "); {
	case !known:
		writeError(w, http.StatusNotFound)
	case !isBot || !s.authentic(token):
		writeError(w, http.StatusUnauthorized)
	case route == "GET /gateway/bot" && s.gatewayBotLimited() > 0:
		writeLimited(w, s.gatewayBotLimited())
	default:
		setRateLimit(w.Header(), route, restLimit-1, restPeriod)
		writeJSON(w, http.StatusOK, answer())
	}
}

// enter begins a request that Close waits for.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.controls.Add(1)
	return true
}

// What the headers say of every route's rate limit. It is not enforced.
const (
	restLimit  = 50
	restPeriod = time.Second
)

// setRateLimit sets Discord's rate-limit headers.
func setRateLimit(h http.Header, route string, remaining int, resetAfter time.Duration) {
	h.Set("X-RateLimit-Limit", strconv.Itoa(restLimit))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(remaining))
	h.Set("X-RateLimit-Reset", fmt.Sprintf("%.3f", float64(time.Now().Add(resetAfter).UnixMilli())/1000))
	h.Set("X-RateLimit-Reset-After", fmt.Sprintf("%.3f", resetAfter.Seconds()))
	h.Set("X-RateLimit-Bucket", fmt.Sprintf("%032x", route)[:32])
}

// writeLimited answers with 429.
func writeLimited(w http.ResponseWriter, retryAfter time.Duration) {
	setRateLimit(w.Header(), "GET /gateway/bot", 0, retryAfter)
	w.Header().Set("X-RateLimit-Scope", "user")
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(retryAfter.Seconds()))))
	writeJSON(w, http.StatusTooManyRequests, limited{Message: "You are being rate limited.", RetryAfter: retryAfter.Seconds()})
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
