// A client that does exactly what a test says, and no more.

package gatewaytest_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

type client struct {
	t  *testing.T
	ws *websocket.Conn
}

type payload struct {
	Op int             `json:"op"`
	D  json.RawMessage `json:"d"`
	S  *int64          `json:"s"`
	T  *string         `json:"t"`
}

type ready struct {
	V                int    `json:"v"`
	SessionID        string `json:"session_id"`
	ResumeGatewayURL string `json:"resume_gateway_url"`
	Shard            [2]int `json:"shard"`
	User             struct {
		ID  string `json:"id"`
		Bot bool   `json:"bot"`
	} `json:"user"`
	Guilds      []any `json:"guilds"`
	Application struct {
		ID string `json:"id"`
	} `json:"application"`
}

// dial connects to url and reads HELLO.
func dial(t *testing.T, url string) *client {
	t.Helper()
	c := dialOnly(t, url)
	require.Equal(t, 10, c.read().Op, "HELLO")
	return c
}

func dialOnly(t *testing.T, url string) *client {
	t.Helper()
	ws, _, err := websocket.Dial(soon(t), url, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ws.CloseNow() })
	return &client{t, ws}
}

// soon is a context that ends before a test that hangs would be a nuisance.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func (c *client) send(op int, data any) {
	c.t.Helper()
	text, err := json.Marshal(map[string]any{"op": op, "d": data})
	require.NoError(c.t, err)
	require.NoError(c.t, c.ws.Write(soon(c.t), websocket.MessageText, text))
}

func (c *client) read() payload {
	c.t.Helper()
	_, text, err := c.ws.Read(soon(c.t))
	require.NoError(c.t, err)
	return decode(c.t, text)
}

func decode(t *testing.T, text []byte) payload {
	t.Helper()
	var p payload
	require.NoError(t, json.Unmarshal(text, &p))
	return p
}

// closeCode reads on until the connection ends: with a close frame's code, or
// -1 without one.
func (c *client) closeCode() int {
	c.t.Helper()
	for {
		if _, _, err := c.ws.Read(soon(c.t)); err != nil {
			require.NotErrorIs(c.t, err, context.DeadlineExceeded)
			return int(websocket.CloseStatus(err))
		}
	}
}

func (c *client) identify(shard, shards int) {
	c.t.Helper()
	c.send(2, map[string]any{"token": gatewaytest.DefaultToken, "shard": []int{shard, shards}})
}

func (c *client) resume(sessionID string, seq int) {
	c.t.Helper()
	c.send(6, map[string]any{"token": gatewaytest.DefaultToken, "session_id": sessionID, "seq": seq})
}

// ready reads READY.
func (c *client) ready() ready {
	c.t.Helper()
	return readyOf(c.t, c.read())
}

func readyOf(t *testing.T, p payload) ready {
	t.Helper()
	require.Zero(t, p.Op)
	require.Equal(t, "READY", *p.T)
	require.EqualValues(t, 1, *p.S)
	var data ready
	require.NoError(t, json.Unmarshal(p.D, &data))
	return data
}

// invalidSession reads op 9 and returns its d.
func (c *client) invalidSession() string {
	c.t.Helper()
	p := c.read()
	require.Equal(c.t, 9, p.Op)
	return string(p.D)
}

// bringUp dials, identifies and reads READY.
func bringUp(t *testing.T, s *gatewaytest.Server, shard, shards int) (*client, ready) {
	t.Helper()
	c := dial(t, s.GatewayURL())
	c.identify(shard, shards)
	return c, c.ready()
}
