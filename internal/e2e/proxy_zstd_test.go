// zstd-stream through the proxy, which asks Discord for zlib-stream in its place:
// decoded by the decoder that disgo has.

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest/zstdstream"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// zstdBot is a bot that is played by the test.
type zstdBot struct {
	*testing.T
	ws      *websocket.Conn
	stream  *io.PipeWriter
	decoded chan []byte // pieces, as the decoder has them
}

func dialZstd(t *testing.T, address string) *zstdBot {
	t.Helper()
	ws, answer, err := websocket.DefaultDialer.Dial(strings.TrimSuffix(address, "/")+"/?v=10&encoding=json&compress=zstd-stream", nil)
	require.NoError(t, err)
	_ = answer.Body.Close()
	require.NoError(t, ws.SetReadDeadline(time.Now().Add(30*time.Second)))
	r, w := io.Pipe()
	b := &zstdBot{T: t, ws: ws, stream: w, decoded: make(chan []byte, 1000)}
	decoder, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
	require.NoError(t, err)
	go func() {
		defer close(b.decoded)
		for {
			p := make([]byte, 64<<10)
			n, err := decoder.Read(p)
			if n > 0 {
				b.decoded <- p[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = w.CloseWithError(io.ErrUnexpectedEOF)
		for range b.decoded { //nolint:revive // Until the decoder has ended.
		}
		decoder.Close()
		_ = ws.Close()
	})
	return b
}

// next reads a message and decodes it: it is one payload.
func (b *zstdBot) next() []byte {
	b.Helper()
	kind, message, err := b.ws.ReadMessage()
	require.NoError(b, err)
	require.Equal(b, websocket.BinaryMessage, kind)
	go func() { _, _ = b.stream.Write(message) }()
	var text []byte
	for !json.Valid(text) {
		select {
		case p, ok := <-b.decoded:
			require.True(b, ok, "no zstd-stream, after %q", text)
			text = append(text, p...)
		case <-time.After(30 * time.Second):
			require.FailNow(b, "a message that does not end", "%q", text)
		}
	}
	return text
}

// want reads up to a payload with a text in it.
func (b *zstdBot) want(text string) []byte {
	b.Helper()
	for {
		if p := b.next(); bytes.Contains(p, []byte(text)) {
			return p
		}
	}
}

func (b *zstdBot) send(format string, args ...any) {
	b.Helper()
	require.NoError(b, b.ws.WriteMessage(websocket.TextMessage, fmt.Appendf(nil, format, args...)))
}

func (b *zstdBot) identify() {
	b.Helper()
	b.send(`{"op":2,"d":{"token":%q,"intents":0,"properties":{},"shard":[3,4]}}`, gatewaytest.DefaultToken)
}

func TestProxy_Zstd(t *testing.T) {
	for name, options := range map[string][]gatewayproxy.Option{"dialled": nil, "dialled late": {gatewayproxy.WithLateDial(time.Minute)}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const window = 500 * time.Millisecond
			discord := gatewaytest.NewServer(gatewaytest.WithZstd(zstdstream.New), gatewaytest.WithWindow(window), gatewaytest.WithGuilds(3, 300_000))
			defer discord.Close()
			queue, err := memqueue.New(gatewayqueue.DefaultLimit(), memqueue.WithWindow(window))
			require.NoError(t, err)
			defer queue.Close()
			proxy, err := gatewayproxy.New(gatewayproxy.One(queue), append(options, gatewayproxy.WithGateway(discord.GatewayURL()),
				gatewayproxy.WithHosts(strings.Replace(discord.GatewayURL(), "127.0.0.1", "localhost", 1)), gatewayproxy.WithLogger(slog.New(slog.DiscardHandler)))...)
			require.NoError(t, err)
			front := httptest.NewServer(proxy)
			defer front.Close()
			defer func() { assert.NoError(t, proxy.Shutdown(context.Background())) }()
			url := "ws" + strings.TrimPrefix(front.URL, "http")

			bot := dialZstd(t, url)
			bot.want("heartbeat_interval")
			bot.send(`{"op":1,"d":null}`)
			bot.want(`"op":11`)
			first := bot.session(url)
			bot.send(`{"op":1,"d":4}`) // is answered long after the stream was joined
			bot.want(`"op":11`)
			discord.Invalidate(false)
			bot.want(`"op":9`)
			if len(options) == 0 { // Discord goes away while it waits: the stream goes on
				bot.identify()
				require.Eventually(t, func() bool { return proxy.Stats().Held == 1 }, 10*time.Second, time.Millisecond)
				discord.Drop(false)
				bot.guilds(url)
			} else {
				bot.session(url)
			}
			require.NoError(t, bot.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4000, ""), time.Now().Add(time.Second)))

			again := dialZstd(t, url+"/resume/"+strings.TrimPrefix(strings.Replace(discord.GatewayURL(), "127.0.0.1", "localhost", 1), "ws://")+"/3")
			again.want("heartbeat_interval")
			again.send(`{"op":6,"d":{"token":%q,"session_id":%q,"seq":1}}`, gatewaytest.DefaultToken, discord.Sessions()[0].ID)
			for _, guild := range first {
				require.Equal(t, string(guild), string(again.want("GUILD_CREATE")), "replayed")
			}
			again.want("RESUMED")

			direct := dialZstd(t, discord.GatewayURL())
			direct.want("heartbeat_interval")
			time.Sleep(window)
			direct.identify()
			direct.want("READY")
			for _, guild := range first {
				require.Equal(t, string(direct.want("GUILD_CREATE")), string(guild), "as without the proxy")
			}
			for _, b := range []*zstdBot{bot, again} { // the proxy then does not wait for them
				_ = b.ws.Close()
			}
			v := discord.Judge().Verdict()
			require.True(t, v.OK(), "%v", v)
			require.Equal(t, 3, v.Identifies)
		})
	}
}

// session identifies, and reads READY and the guilds.
func (b *zstdBot) session(url string) [][]byte {
	b.Helper()
	b.identify()
	return b.guilds(url)
}

func (b *zstdBot) guilds(url string) (all [][]byte) {
	b.Helper()
	require.Contains(b, string(b.want("READY")), `"resume_gateway_url":"`+url+"/resume/localhost:")
	for range 3 {
		all = append(all, b.want("GUILD_CREATE"))
	}
	return all
}
