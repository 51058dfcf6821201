// Discord's HTTP API, as far as it leads to the gateway.

package gatewayproxy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"regexp"
	"strconv"

	"github.com/gatewayqueue/gatewayqueue"
)

// mostBody bounds an answer of GET /gateway, in bytes. Discord's has some 200.
const mostBody = 1 << 20

// gatewayRoute is GET /gateway and /gateway/bot, of any version.
var gatewayRoute = regexp.MustCompile(`^(v[0-9]+/)?gateway(/bot)?$`)

// serveAPI answers a request below /api.
func (p *Proxy) serveAPI(w http.ResponseWriter, r *http.Request, rest string) {
	isGateway := gatewayRoute.MatchString(rest)
	switch {
	case r.Header.Get("Upgrade") != "": // where nobody would hold what it carries
		http.Error(w, "gatewayqueue proxy: the gateway is not below /api: connect to / with a WebSocket", http.StatusNotFound)
		return
	case isGateway && r.Method == http.MethodGet:
	case p.wholeAPI:
	default:
		http.Error(w, "gatewayqueue proxy: of Discord's API only GET /api/gateway and /api/gateway/bot are here; ask discord.com for the rest, or start the proxy with --api", http.StatusNotFound)
		return
	}
	external, err := p.externalOf(r)
	if err != nil {
		p.refuse(w, r, err)
		return
	}
	proxy := httputil.ReverseProxy{
		Transport: p.transport,
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.SetURL(p.api) // with the path as it came: %2F in it is no slash
			if isGateway {
				pr.Out.Header.Del("Accept-Encoding") // the transport then reads what is compressed
			}
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				p.log.Warn("Discord's API cannot be asked", "path", r.URL.Path, "error", err)
			}
			http.Error(w, "gatewayqueue proxy: Discord's API cannot be asked", http.StatusBadGateway)
		},
	}
	if isGateway {
		proxy.ModifyResponse = func(answer *http.Response) error { return rewriteGateway(answer, external) }
	}
	proxy.ServeHTTP(w, r)
}

// rewriteGateway puts the proxy's address into an answer of GET /gateway, and leaves
// all else as it is: session_start_limit is true for every bot.
func rewriteGateway(answer *http.Response, external string) error {
	if answer.StatusCode != http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, mostBody))
	if err != nil {
		return err
	}
	_ = answer.Body.Close() //nolint:errcheck // Read only.
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return fmt.Errorf("the answer of GET /gateway cannot be read: %w", err)
	}
	if fields["url"] == nil {
		return &gatewayqueue.InvalidError{Field: "url in the answer of GET /gateway", Value: "missing", Want: "a string"}
	}
	address, err := json.Marshal(external)
	if err != nil {
		return err
	}
	fields["url"] = address
	if body, err = json.Marshal(fields); err != nil {
		return err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	answer.ContentLength = int64(len(body))
	answer.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}
