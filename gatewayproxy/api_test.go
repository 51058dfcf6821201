// GET /gateway and /gateway/bot lead to the proxy, and nothing else is changed.

package gatewayproxy_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// get asks a proxy's HTTP side.
func (s *stage) get(path string, header ...string) (*http.Response, string) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), http.MethodGet, s.front.URL+path, nil)
	require.NoError(s, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultClient.Do(req)
	require.NoError(s, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(s, err)
	return answer, string(body)
}

func TestAPI_GatewayLeadsToTheProxy(t *testing.T) {
	t.Parallel()
	s := newStage(t, settings{limit: fullLimit(16), discord: []gatewaytest.Option{gatewaytest.WithShards(7)}})
	for _, path := range []string{"/api/gateway", "/api/v10/gateway", "/api/gateway/bot", "/api/v9/gateway/bot"} {
		answer, body := s.get(path, "Authorization", "Bot "+gatewaytest.DefaultToken)
		require.Equal(t, 200, answer.StatusCode, body)
		var got struct {
			URL    string
			Shards int
			Limit  struct{ Total, MaxConcurrency int } `json:"session_start_limit"`
		}
		require.NoError(t, json.Unmarshal([]byte(body), &got))
		require.Equal(t, s.url, got.URL)
		if strings.HasSuffix(path, "bot") {
			require.Equal(t, 7, got.Shards)
			require.Equal(t, 1000, got.Limit.Total, "what Discord says of limits is passed on")
		}
	}
	for _, token := range []string{"", "Bot wrong", gatewaytest.DefaultToken} {
		answer, body := s.get("/api/v10/gateway/bot", "Authorization", token)
		require.Equal(t, 401, answer.StatusCode)
		require.NotContains(t, body, s.url)
	}
	answer, _ := s.get("/api/v10/users/@me", "Authorization", "Bot "+gatewaytest.DefaultToken)
	require.Equal(t, 404, answer.StatusCode, "the rest is not here")
}

// A WebSocket below /api is connected to nothing: nobody would hold what it carries.
func TestAPI_HasNoGateway(t *testing.T) {
	t.Parallel()
	for _, whole := range []bool{true, false} {
		discord := gatewaytest.NewServer()
		t.Cleanup(discord.Close)
		s := newStage(t, settings{proxy: []gatewayproxy.Option{gatewayproxy.WithAPI(discord.URL(), whole)}})
		for _, path := range []string{"/api/gateway", "/api/v10/gateway/bot", "/api/", "/api/v10/x"} {
			l := connect(t, s.url)
			l.put([]byte(upgradeRequest(path, "localhost")), l.frame(0x81, []byte(identify(0, 1, ""))))
			require.Contains(t, l.answer(), " 404 ", path)
		}
		require.Zero(t, discord.Stats().Connections)
		require.Zero(t, discord.Judge().Verdict().Identifies)
	}
}

func TestAPI_WholeIsPassedAsItIs(t *testing.T) {
	t.Parallel()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/below/api/v10/gateway/bot": // compressed, as Discord's are
			if r.Header.Get("Accept-Encoding") != "gzip" {
				t.Errorf("Accept-Encoding: %q", r.Header.Get("Accept-Encoding"))
			}
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			_, _ = io.WriteString(z, `{"url":"wss://gateway.discord.gg","a":{"b":1.50},"session_start_limit":{}}`)
			_ = z.Close()
		case "/below/api/v10/gateway":
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"url":"wss://gateway.discord.gg"}`)
		case "/below/api/gateway":
			_, _ = io.WriteString(w, `no JSON`)
		default:
			body, _ := io.ReadAll(r.Body)
			_, _ = io.WriteString(w, r.Method+" "+r.RequestURI+" "+r.Header.Get("Authorization")+" "+string(body))
		}
	}))
	t.Cleanup(api.Close)
	s := newStage(t, settings{proxy: []gatewayproxy.Option{gatewayproxy.WithAPI(api.URL+"/below/", true), gatewayproxy.WithExternal("wss://proxy.example")}})
	_, body := s.get("/api/v10/channels/1/messages/2/reactions/%F0%9F%91%8D%2Fx/@me?a=%20b&a=2", "Authorization", "Bot x.y.z")
	require.Equal(t, "GET /below/api/v10/channels/1/messages/2/reactions/%F0%9F%91%8D%2Fx/@me?a=%20b&a=2 Bot x.y.z ", body)
	answer, err := http.Post(s.front.URL+"/api/v10/gateway", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	require.Equal(t, 429, answer.StatusCode)
	require.NoError(t, answer.Body.Close())
	_, body = s.get("/api/v10/gateway/bot")
	require.JSONEq(t, `{"url":"wss://proxy.example","a":{"b":1.50},"session_start_limit":{}}`, body)
	limited, body := s.get("/api/v10/gateway")
	require.Equal(t, "7", limited.Header.Get("Retry-After"))
	require.Contains(t, body, "wss://gateway.discord.gg")
	broken, _ := s.get("/api/gateway")
	require.Equal(t, 502, broken.StatusCode)
}
