package httpqueue_test

// What the tests share: servers in memory and on loopback, and their clients.

import (
	"context"
	"errors"
	"flag"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		play(role)
		return
	}
	// Most of these tests wait for a clock, and not for a processor.
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// full is a full budget that no test uses up.
func full(maxConcurrency int) gatewayqueue.SessionStartLimit {
	return gatewayqueue.SessionStartLimit{Total: 100000, Remaining: 100000, MaxConcurrency: maxConcurrency}
}

func inMemory(t testing.TB, limit gatewayqueue.SessionStartLimit, opts ...memqueue.Option) *memqueue.Queue {
	t.Helper()
	q, err := memqueue.NewUnlimited(opts...)
	if limit.MaxConcurrency > 0 {
		q, err = memqueue.New(limit, opts...)
	}
	require.NoError(t, err)
	return q
}

// pipes is a listener without a network: it works in a synctest bubble.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.done) }); return nil }

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (p *pipes) Dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// site is a handler with a server in front of it, and a way to it.
type site struct {
	handler *httpqueue.Handler
	server  *http.Server
	url     string
	client  *http.Client
	pipes   *pipes // nil on loopback
}

// serve serves a queue without a network.
func serve(t testing.TB, queue gatewayqueue.PermitQueue, opts ...httpqueue.Option) *site {
	t.Helper()
	l := newPipes()
	s := open(t, queue, l, "http://queue.test", &http.Transport{DialContext: l.Dial, MaxIdleConnsPerHost: 64}, opts...)
	s.pipes = l
	return s
}

// serveTCP serves a queue on loopback.
func serveTCP(t testing.TB, queue gatewayqueue.PermitQueue, opts ...httpqueue.Option) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return open(t, queue, l, "http://"+l.Addr().String(), &http.Transport{MaxIdleConnsPerHost: 64}, opts...)
}

func open(t testing.TB, queue gatewayqueue.PermitQueue, l net.Listener, url string, transport *http.Transport, opts ...httpqueue.Option) *site {
	t.Helper()
	handler, err := httpqueue.NewHandler(queue, opts...)
	require.NoError(t, err)
	s := &site{
		handler: handler, server: httpqueue.NewServer(handler), url: url,
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	ended := make(chan error, 1)
	go func() { ended <- s.server.Serve(httpqueue.Quiet(l)) }()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = s.server.Close()
		require.ErrorIs(t, <-ended, http.ErrServerClosed)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, handler.Shutdown(ctx), "requests are left over")
	})
	return s
}

// dial makes a client of the site.
func (s *site) dial(t testing.TB, opts ...httpqueue.ClientOption) *httpqueue.Client {
	t.Helper()
	c, err := httpqueue.NewClient(s.url, append([]httpqueue.ClientOption{httpqueue.WithHTTPClient(s.client)}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// counted counts the grants of a queue.
type counted struct {
	gatewayqueue.PermitQueue
	mu      sync.Mutex
	granted []int
}

func (q *counted) note(shard int, err error) error {
	if err == nil {
		q.mu.Lock()
		q.granted = append(q.granted, shard)
		q.mu.Unlock()
	}
	return err
}

func (q *counted) Wait(ctx context.Context, shard int) error {
	return q.note(shard, q.PermitQueue.Wait(ctx, shard))
}

func (q *counted) Acquire(ctx context.Context, shard int) (gatewayqueue.Permit, error) {
	p, err := q.PermitQueue.Acquire(ctx, shard)
	return p, q.note(shard, err)
}

func (q *counted) grants() []int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]int(nil), q.granted...)
}
