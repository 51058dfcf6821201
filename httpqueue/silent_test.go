package httpqueue_test

// Connections that stand and are silent: the machine at their other end has lost
// its power, or something in between has forgotten them.

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
)

// silences is a way to a server. Those of its connections that have fallen silent
// take what is sent, and bring nothing.
type silences struct {
	dial  func(context.Context, string, string) (net.Conn, error)
	mu    sync.Mutex
	conns []*silent
}

type silent struct {
	net.Conn
	fallen atomic.Bool
}

func (s *silences) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := s.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &silent{Conn: conn}
	s.conns = append(s.conns, c)
	return c, nil
}

// fall makes all connections silent that there are, and returns how many.
func (s *silences) fall() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.fallen.Store(true)
	}
	return len(s.conns)
}

func (c *silent) Write(b []byte) (int, error) {
	if c.fallen.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *silent) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.fallen.Load() {
			return n, err
		}
	}
}

// Whatever a client is about when all of its connections fall silent, it goes on
// over new ones: one silence costs one wait for an answer, however many connections
// had been idle, and a permit outlives it.
func TestClient_ConnectionsThatFallSilent(t *testing.T) {
	for name, try := range map[string]func(t *testing.T, c *httpqueue.Client, fall func()){
		"before a poll": func(t *testing.T, c *httpqueue.Client, fall func()) {
			fall()
			began := time.Now()
			permit, err := c.Acquire(t.Context(), 50)
			require.NoError(t, err)
			assert.Less(t, time.Since(began), 8*time.Second)
			require.NoError(t, permit.Identified(t.Context()))
		},
		"while it holds a permit": func(t *testing.T, c *httpqueue.Client, fall func()) {
			permit, err := c.Acquire(t.Context(), 50)
			require.NoError(t, err)
			fall()
			time.Sleep(20 * time.Second)
			assert.True(t, time.Now().Before(permit.Deadline()), "it was renewed")
			require.NoError(t, permit.Identified(t.Context()))
		},
		"before a report": func(t *testing.T, c *httpqueue.Client, fall func()) {
			permit, err := c.Acquire(t.Context(), 50)
			require.NoError(t, err)
			fall()
			began := time.Now()
			require.NoError(t, permit.Identified(t.Context()))
			assert.Less(t, time.Since(began), 3*time.Second)
		},
		"before a Wait": func(t *testing.T, c *httpqueue.Client, fall func()) {
			fall()
			began := time.Now()
			require.NoError(t, c.Wait(t.Context(), 50))
			assert.Less(t, time.Since(began), 8*time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const idle = 8
				f := newFleet(t, 1)
				way := &silences{dial: f.sites[0].pipes.Dial}
				transport := &http.Transport{DialContext: way.Dial, MaxIdleConnsPerHost: 64}
				defer transport.CloseIdleConnections()
				c, err := httpqueue.NewClient("http://queue.test", httpqueue.WithHTTPClient(&http.Client{Transport: transport}), httpqueue.WithMaxWait(time.Second))
				require.NoError(t, err)
				defer c.Close()
				var all sync.WaitGroup
				for shard := range idle + 2 { // they stand in line together, each on a connection; the first may be granted before they do
					all.Go(func() { assert.NoError(t, c.Wait(t.Context(), shard)) })
				}
				all.Wait()
				time.Sleep(2 * gatewayqueue.IdentifyDelay)
				try(t, c, func() { require.GreaterOrEqual(t, way.fall(), idle) })
			})
		})
	}
}
