// The stage of this package's tests: a fake Discord, a proxy in front of it, and bots
// that are played by the test, frame by frame where it matters.

package gatewayproxy_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// window is Discord's in these tests, and late how much later than it was sent a fake
// Discord may see an IDENTIFY on a machine that is busy: the queue's window is as much
// longer.
const (
	window = 300 * time.Millisecond
	late   = 400 * time.Millisecond
)

// stage is a fake Discord and a proxy.
type stage struct {
	*testing.T
	discord *gatewaytest.Server
	queue   *memqueue.Queue
	proxy   *gatewayproxy.Proxy
	front   *httptest.Server
	url     string // of the proxy, ws://

	mu     sync.Mutex
	events []gatewayproxy.Event
}

// settings are what a test wants of its stage.
type settings struct {
	discord []gatewaytest.Option
	proxy   []gatewayproxy.Option
	limit   gatewayqueue.SessionStartLimit
	queues  gatewayproxy.Queues // nil is the stage's own queue, for every bot
}

func newStage(t *testing.T, set settings) *stage {
	t.Helper()
	if set.limit == (gatewayqueue.SessionStartLimit{}) {
		set.limit = gatewayqueue.DefaultLimit()
	}
	s := &stage{T: t}
	s.discord = gatewaytest.NewServer(append([]gatewaytest.Option{gatewaytest.WithLimit(set.limit), gatewaytest.WithWindow(window)}, set.discord...)...)
	t.Cleanup(s.discord.Close)
	var err error
	s.queue, err = memqueue.New(set.limit, memqueue.WithWindow(window+late), memqueue.WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.queue.Close() })
	at := s.discord.GatewayURL()
	options := []gatewayproxy.Option{
		gatewayproxy.WithGateway(at), gatewayproxy.WithHosts(strings.Replace(at, "127.0.0.1", "localhost", 1)), gatewayproxy.WithAPI(s.discord.URL(), false),
		gatewayproxy.WithLogger(slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))),
		gatewayproxy.WithObserver(func(e gatewayproxy.Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.events = append(s.events, e)
		}),
	}
	if set.queues == nil {
		set.queues = gatewayproxy.One(s.queue)
	}
	s.proxy, err = gatewayproxy.New(set.queues, append(options, set.proxy...)...)
	require.NoError(t, err)
	s.front = httptest.NewServer(s.proxy)
	t.Cleanup(s.front.Close)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = s.proxy.Shutdown(ctx)
	})
	s.url = "ws" + strings.TrimPrefix(s.front.URL, "http")
	return s
}

// judged expects so many identifies, and no violation.
func (s *stage) judged(identifies int) {
	s.Helper()
	v := s.discord.Judge().Verdict()
	require.True(s, v.OK(), "%v", v)
	require.Equal(s, identifies, v.Identifies)
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Helper()
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// bot is one connection of a bot.
type bot struct {
	*testing.T
	conn    *websocket.Conn
	inflate io.Reader // of zlib-stream
	stream  *bytes.Buffer
	seq     *int64
}

// dial connects a bot to address, with a query.
func (s *stage) dial(address, query string) *bot {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.TrimSuffix(address, "/")+"/?v=10&"+query, nil)
	require.NoError(s, err)
	conn.SetReadLimit(-1)
	s.Cleanup(func() { _ = conn.CloseNow() })
	b := &bot{T: s.T, conn: conn}
	if strings.Contains(query, "zlib-stream") {
		b.stream = &bytes.Buffer{}
	}
	return b
}

// payload is one of Discord's.
type payload struct {
	Op int             `json:"op"`
	D  json.RawMessage `json:"d"`
	S  *int64          `json:"s"`
	T  string          `json:"t"`
}

// next reads a payload.
func (b *bot) next() (payload, error) {
	ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
	defer cancel()
	kind, message, err := b.conn.Read(ctx)
	if err != nil {
		return payload{}, err
	}
	if b.stream != nil {
		b.stream.Write(message)
		if b.inflate == nil {
			if b.inflate, err = zlib.NewReader(b.stream); err != nil {
				return payload{}, err
			}
		}
		text, err := flushed(b.inflate, b.stream)
		if err != nil {
			return payload{}, err
		}
		message = text
	} else if kind == websocket.MessageBinary {
		r, err := zlib.NewReader(bytes.NewReader(message))
		if err != nil {
			return payload{}, err
		}
		if message, err = io.ReadAll(r); err != nil {
			return payload{}, err
		}
	}
	var p payload
	err = json.Unmarshal(message, &p)
	if p.S != nil {
		b.seq = p.S
	}
	return p, err
}

// flushed reads what a flush has completed.
func flushed(r io.Reader, from *bytes.Buffer) (text []byte, err error) {
	buf := make([]byte, flate.NoCompression+32<<10)
	for from.Len() > 0 {
		n, err := r.Read(buf)
		text = append(text, buf[:n]...)
		if err != nil {
			return text, err
		}
	}
	return text, nil
}

// want reads payloads up to one with an opcode, and of a dispatch a name.
func (b *bot) want(op int, event string) payload {
	b.Helper()
	for {
		p, err := b.next()
		require.NoError(b, err, "waiting for op %d %s", op, event)
		if p.Op == op && p.T == event {
			return p
		}
	}
}

func (b *bot) send(text string) {
	b.Helper()
	require.NoError(b, b.conn.Write(b.Context(), websocket.MessageText, []byte(text)))
}

func identify(shard, count int, more string) string {
	return fmt.Sprintf(`{"op":2,"d":{"token":%q,"intents":0,"properties":{},"shard":[%d,%d]%s}}`, gatewaytest.DefaultToken, shard, count, more)
}

// ready identifies, and returns READY.
func (b *bot) ready(shard, count int) (id, resumeURL string) {
	b.Helper()
	b.want(10, "")
	b.send(identify(shard, count, ""))
	return b.session()
}

// session reads READY.
func (b *bot) session() (id, resumeURL string) {
	b.Helper()
	var d struct {
		ID  string `json:"session_id"`
		URL string `json:"resume_gateway_url"`
	}
	require.NoError(b, json.Unmarshal(b.want(0, "READY").D, &d))
	return d.ID, d.URL
}

func resume(session string, seq int64) string {
	return fmt.Sprintf(`{"op":6,"d":{"token":%q,"session_id":%q,"seq":%d}}`, gatewaytest.DefaultToken, session, seq)
}

// fullLimit is a full budget with so many buckets.
func fullLimit(maxConcurrency int) gatewayqueue.SessionStartLimit {
	l := gatewayqueue.DefaultLimit()
	l.MaxConcurrency = maxConcurrency
	return l
}
