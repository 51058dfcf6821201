package gatewayconn

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
)

const (
	request  = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	identify = `{"op":2,"d":{"token":"t","shard":[7,16]}}`
	resume   = `{"op":6,"d":{"session_id":"s"}}`
)

// quiet is where servers say what they think of broken handshakes.
var quiet = log.New(io.Discard, "", 0)

// permit is one that lasts.
type permit struct{ gatewayqueue.Permit }

func (permit) Deadline() time.Time { return time.Now().Add(time.Hour) }

// far is the other end: it keeps what arrives, and says nothing.
type far struct {
	net.Conn
	got    bytes.Buffer
	err    error // of the next Write
	closed atomic.Bool
}

func (f *far) Write(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.got.Write(p)
}
func (f *far) Read([]byte) (int, error) {
	for !f.closed.Load() {
		time.Sleep(time.Millisecond)
	}
	return 0, net.ErrClosed
}
func (f *far) Close() error                     { f.closed.Store(true); return nil }
func (f *far) SetReadDeadline(time.Time) error  { return nil }
func (f *far) SetWriteDeadline(time.Time) error { return nil }

// clientFrame is one frame as a client writes it.
func clientFrame(first byte, payload string) []byte {
	f := []byte{first}
	switch n := len(payload); {
	case n < 126:
		f = append(f, 0x80|byte(n))
	case n < 1<<16:
		f = binary.BigEndian.AppendUint16(append(f, 0x80|126), uint16(n))
	default:
		f = binary.BigEndian.AppendUint64(append(f, 0x80|127), uint64(n))
	}
	mask := []byte{1, 2, 3, 4}
	f = append(f, mask...)
	for i := range len(payload) {
		f = append(f, payload[i]^mask[i%4])
	}
	return f
}

func TestIdentifyIsSeenHoweverItIsCut(t *testing.T) {
	stream := []byte(request)
	stream = append(stream, clientFrame(0x81, `{"op":1,"d":null}`)...)
	stream = append(stream, clientFrame(0x01, identify[:9])...) // in fragments,
	stream = append(stream, clientFrame(0x89, "ping")...)       // a ping between them
	stream = append(stream, clientFrame(0x80, identify[9:])...)
	stream = append(stream, clientFrame(0x81, `{"op":3,"d":"`+strings.Repeat("x", 70000)+`"}`)...)
	stream = append(stream, clientFrame(0x88, "")...)
	for _, step := range []int{1, 2, 3, 7, 100, len(stream)} {
		f := new(far)
		var shards []int
		sent := 0
		c := Wrap(f, time.Hour, Hooks{Identify: func(ctx context.Context, _ *Conn, shard int, send Send) error {
			shards = append(shards, shard)
			before := f.got.Len()
			left, err := send(ctx, permit{})
			if left {
				sent++
				assert.Greater(t, f.got.Len(), before)
			}
			return err
		}})
		for at := 0; at < len(stream); at += step {
			n, err := c.Write(stream[at:min(at+step, len(stream))])
			require.NoError(t, err)
			require.Equal(t, min(step, len(stream)-at), n)
		}
		assert.Equal(t, []int{7}, shards)
		assert.Equal(t, 1, sent)
		assert.True(t, bytes.Equal(stream, f.got.Bytes()), "all arrives, unchanged and in order")
		assert.NoError(t, c.Close())
	}
}

func TestOtherMessagesPass(t *testing.T) {
	f := new(far)
	resumes := 0
	c := Wrap(f, time.Hour, Hooks{
		Identify: func(context.Context, *Conn, int, Send) error { return errors.New("it was none") },
		Resume:   func() { resumes++ },
	})
	write(t, c, []byte(request))
	for _, text := range []string{
		resume, `{"op":1,"d":2}`, `{"d":{"op":2},"op":3}`, `{"op":"2"}`, `[2]`, `{"op":2`, ``, `2`, `null`,
	} {
		write(t, c, clientFrame(0x81, text))
	}
	write(t, c, clientFrame(0x82, "\x83binary"))
	assert.Equal(t, 1, resumes)
	assert.NoError(t, c.Close())
}

func write(t *testing.T, c *Conn, p []byte) {
	t.Helper()
	_, err := c.Write(p)
	require.NoError(t, err)
}

func TestARefusedIdentifyIsNotSentAndClosesTheConnection(t *testing.T) {
	f := new(far)
	refused := errors.New("not now")
	c := Wrap(f, time.Hour, Hooks{Identify: func(context.Context, *Conn, int, Send) error { return refused }})
	write(t, c, []byte(request))
	_, err := c.Write(clientFrame(0x81, identify))
	assert.ErrorIs(t, err, refused)
	assert.True(t, f.closed.Load())
	assert.Equal(t, request, f.got.String())
	assert.Error(t, c.Done().Err())
}

func TestCloseEndsAHeldIdentify(t *testing.T) {
	f := new(far)
	holds := make(chan struct{})
	c := Wrap(f, time.Hour, Hooks{Identify: func(ctx context.Context, _ *Conn, _ int, _ Send) error {
		close(holds)
		<-ctx.Done()
		return ctx.Err()
	}})
	write(t, c, []byte(request))
	go func() { <-holds; _ = c.Close() }()
	_, err := c.Write(clientFrame(0x81, identify))
	assert.ErrorIs(t, err, context.Canceled)
}

// What failed half-way may have arrived.
func TestAnIdentifyWhoseWriteFailsCountsAsSent(t *testing.T) {
	f := new(far)
	sent := false
	c := Wrap(f, time.Hour, Hooks{Identify: func(ctx context.Context, _ *Conn, _ int, send Send) (err error) {
		f.err = io.ErrClosedPipe
		sent, err = send(ctx, permit{})
		return err
	}})
	write(t, c, []byte(request))
	_, err := c.Write(clientFrame(0x81, identify))
	assert.ErrorIs(t, err, io.ErrClosedPipe)
	assert.True(t, sent)
}

func TestAnIdentifyWithoutAShardIsOfShard0(t *testing.T) {
	for _, text := range []string{`{"op":2,"d":{"token":"t"}}`, `{"op":2}`, `{"op":2,"d":{"shard":"?"}}`} {
		shards := []int{}
		c := Wrap(new(far), time.Hour, Hooks{Identify: func(ctx context.Context, _ *Conn, shard int, send Send) error {
			shards = append(shards, shard)
			_, err := send(ctx, permit{})
			return err
		}})
		write(t, c, []byte(request))
		write(t, c, clientFrame(0x81, text))
		assert.Equal(t, []int{0}, shards, text)
		assert.NoError(t, c.Close())
	}
}

func TestASilentConnectionIsClosed(t *testing.T) {
	ours, theirs := net.Pipe()
	c := Wrap(ours, time.Millisecond, Hooks{})
	_, err := theirs.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF)
	assert.ErrorIs(t, c.Done().Err(), context.Canceled)
}

func TestWhatHidesIdentifyIsRefused(t *testing.T) {
	c := Wrap(new(far), time.Hour, Hooks{})
	_, err := c.Write([]byte{0x16, 3, 1}) // TLS
	assert.ErrorIs(t, err, ErrEncrypted)

	c = Wrap(new(far), time.Hour, Hooks{})
	write(t, c, []byte(request))
	_, err = c.Write(clientFrame(0xc1, "deflated"))
	assert.ErrorIs(t, err, ErrCompressed)
}

func TestHeartbeatIsAFrameThatServersUnderstand(t *testing.T) {
	got := make(chan string, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if !assert.NoError(t, err) {
			return
		}
		_, data, err := ws.Read(r.Context())
		assert.NoError(t, err)
		got <- string(data)
		_, data, err = ws.Read(r.Context())
		assert.NoError(t, err)
		got <- string(data)
		_ = ws.CloseNow()
	}))
	defer server.Close()

	// Through TLS, as with Discord.
	dialer := Dialer{TLS: &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com"}}
	client := &http.Client{Transport: &http.Transport{DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dialer.Dial(ctx, network, addr, true)
		if err != nil {
			return nil, err
		}
		return Wrap(conn, time.Minute, Hooks{Identify: func(ctx context.Context, c *Conn, _ int, send Send) error {
			if err := c.Heartbeat(); err != nil {
				return err
			}
			_, err := send(ctx, permit{})
			return err
		}}), nil
	}}}
	ws, _, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{HTTPClient: client})
	require.NoError(t, err)
	require.NoError(t, ws.Write(t.Context(), websocket.MessageText, []byte(identify)))
	assert.JSONEq(t, `{"op":1,"d":null}`, <-got)
	assert.JSONEq(t, identify, <-got)
	_ = ws.CloseNow()
}

func TestDialRefusesABadCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = quiet
	server.StartTLS()
	defer server.Close()
	_, err := Dialer{}.Dial(t.Context(), "tcp", server.Listener.Addr().String(), true)
	assert.Error(t, err)
}

func FuzzReader(f *testing.F) {
	f.Add(clientFrame(0x81, identify))
	f.Add(clientFrame(0x01, `{"op"`))
	f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, p []byte) {
		var r reader
		r.add(p)
		passed := 0
		for {
			_, raw, err := r.next()
			if err != nil || raw == nil {
				break
			}
			passed += len(raw)
		}
		if passed > len(p) {
			t.Fatalf("%d bytes came out of %d", passed, len(p))
		}
	})
}
