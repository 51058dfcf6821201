// By which names and addresses clients are sent where.

package gatewaytest_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// dialAs dials with another Host header.
func dialAs(t *testing.T, url, host string) *client {
	t.Helper()
	ws, _, err := websocket.Dial(soon(t), url, &websocket.DialOptions{Host: host})
	require.NoError(t, err)
	t.Cleanup(func() { _ = ws.CloseNow() })
	c := &client{t, ws}
	require.Equal(t, 10, c.read().Op, "HELLO")
	return c
}

func TestHostAsAsked_ClientsStayWhereTheyCame(t *testing.T) {
	for _, c := range []struct {
		asked, gateway, resume string
		options                []gatewaytest.Option
	}{
		{"fake-discord:8090", "ws://fake-discord:8090", "ws://fake-discord:8090", nil},
		{"discord.com", "ws://discord.com", "ws://discord.com", nil},
		{"[::1]:9", "ws://[::1]:9", "ws://[::1]:9", nil},
		{"a:1", "ws://a:1", "ws://b:1", []gatewaytest.Option{gatewaytest.WithResumeHost("b")}},
	} {
		s := newServer(t, append(c.options, gatewaytest.WithHostAsAsked())...)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"/api/v10/gateway", nil)
		require.NoError(t, err)
		req.Host = c.asked
		var answer struct{ URL string }
		require.Equal(t, 200, doJSON(t, req, &answer))
		assert.Equal(t, c.gateway, answer.URL)

		client := dialAs(t, s.GatewayURL(), c.asked)
		client.identify(0, 1)
		assert.Equal(t, c.resume, client.ready().ResumeGatewayURL)
	}
	s := newServer(t, gatewaytest.WithHostAsAsked(), gatewaytest.WithHosts(1))
	client := dialAs(t, s.GatewayURL(), "fake:1")
	client.identify(0, 1)
	u, err := url.Parse(client.ready().ResumeGatewayURL)
	require.NoError(t, err)
	assert.Equal(t, "fake", u.Hostname())
	hosted, err := url.Parse(s.Hosts()[0])
	require.NoError(t, err)
	assert.Equal(t, hosted.Port(), u.Port())
}
