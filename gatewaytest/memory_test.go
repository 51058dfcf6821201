// A network in memory, on which a Server and its clients live in virtual time.

package gatewaytest_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

type memory struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newMemory() *memory {
	m := &memory{conns: make(chan net.Conn), closed: make(chan struct{})}
	m.close = sync.OnceFunc(func() { close(m.closed) })
	return m
}

func (m *memory) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.closed:
		return nil, net.ErrClosed
	}
}

func (m *memory) Close() error   { m.close(); return nil }
func (m *memory) Addr() net.Addr { return memoryAddr{} }

type memoryAddr struct{}

func (memoryAddr) Network() string { return "memory" }
func (memoryAddr) String() string  { return "gateway.test:80" }

// dial opens a connection. It has no buffer: clients must read all the time.
func (m *memory) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case m.conns <- server:
		return client, nil
	case <-m.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// virtual is a server and its clients in virtual time.
type virtual struct {
	*gatewaytest.Server
	t    *testing.T
	http *http.Client
}

// inVirtualTime runs test in a bubble, with a server that has many buckets.
func inVirtualTime(t *testing.T, test func(v *virtual), opts ...gatewaytest.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := newMemory()
		all := []gatewaytest.Option{gatewaytest.WithLimit(limit(1000, 16)), gatewaytest.WithListener(network)}
		s := gatewaytest.NewServer(append(all, opts...)...)
		transport := &http.Transport{DialContext: network.dial}
		defer transport.CloseIdleConnections()
		defer s.Close()
		test(&virtual{s, t, &http.Client{Transport: transport}})
	})
}

// open dials and reads HELLO. The client reads all the time, as libraries do.
func (v *virtual) open() *reader {
	v.t.Helper()
	c := v.openOnly()
	require.Equal(v.t, 10, c.next().Op, "HELLO")
	return c
}

func (v *virtual) openOnly() *reader {
	v.t.Helper()
	ws, _, err := websocket.Dial(v.t.Context(), v.GatewayURL(), &websocket.DialOptions{HTTPClient: v.http})
	require.NoError(v.t, err)
	ws.SetReadLimit(64 << 20)
	c := &reader{client: client{v.t, ws}, payloads: make(chan payload, 100_000)}
	go c.readAll()
	return c
}

// up opens a connection, identifies and reads READY.
func (v *virtual) up(shard, shards int) (*reader, ready) {
	v.t.Helper()
	c := v.open()
	c.identify(shard, shards)
	return c, c.ready()
}

// reader is a client whose payloads are read as they come.
type reader struct {
	client
	payloads chan payload
	code     int // once payloads is closed
}

func (r *reader) readAll() {
	defer close(r.payloads)
	for {
		_, text, err := r.ws.Read(context.Background())
		if err != nil {
			r.code = int(websocket.CloseStatus(err))
			_ = r.ws.CloseNow() // It has ended.
			return
		}
		r.payloads <- decode(r.t, text)
	}
}

// next waits for a payload.
func (r *reader) next() payload {
	r.t.Helper()
	p, open := <-r.payloads
	if !open {
		require.FailNow(r.t, "the connection is closed", "with %d", r.code)
	}
	return p
}

func (r *reader) ready() ready {
	r.t.Helper()
	return readyOf(r.t, r.next())
}

// event waits for a dispatch event and returns its number.
func (r *reader) event(name string) int64 {
	r.t.Helper()
	p := r.next()
	require.Zero(r.t, p.Op)
	require.Equal(r.t, name, *p.T)
	return *p.S
}

// closed waits for the end of the connection: with a close frame's code, or -1
// without one.
func (r *reader) closed() int {
	for range r.payloads {
	}
	return r.code
}

// still reports whether the connection is open once everything has settled.
func (r *reader) still() bool {
	synctest.Wait()
	for {
		select {
		case _, open := <-r.payloads:
			if !open {
				return false
			}
		default:
			return true
		}
	}
}
