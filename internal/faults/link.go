package faults

// The way from one pod to the server: toxiproxy, for what happens to
// connections and to time, and behind it a proxy of our own that loses single
// requests and replies.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// link is one pod's way to the server. It outlives the pods that use it.
type link struct {
	admin *toxiproxy.ApiServer
	lossy *lossy
	addr  string
	toxic atomic.Uint64 // names the toxics

	mu    sync.Mutex
	proxy *toxiproxy.Proxy
}

func newLink(t testing.TB, to *lossy) *link {
	t.Helper()
	l := &link{lossy: to}
	l.admin = toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	l.proxy = toxiproxy.NewProxy(l.admin, "redis", "127.0.0.1:0", l.lossy.addr())
	if err := l.proxy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.toxiproxy().Stop() })
	l.addr = l.proxy.Listen
	return l
}

func (l *link) toxiproxy() *toxiproxy.Proxy {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.proxy
}

// poison adds a toxic and returns how to take it away.
func (l *link) poison(kind, stream string, attributes map[string]any) (func(), error) {
	name := fmt.Sprintf("%s-%d", kind, l.toxic.Add(1))
	text, err := json.Marshal(map[string]any{"name": name, "type": kind, "stream": stream, "attributes": attributes})
	if err != nil {
		return nil, err
	}
	proxy := l.toxiproxy()
	if _, err := proxy.Toxics.AddToxicJson(bytes.NewReader(text)); err != nil {
		return nil, err
	}
	return func() {
		removed := make(chan struct{})
		go func() {
			defer close(removed)
			_ = proxy.Toxics.RemoveToxic(context.Background(), name) // gone is gone
		}()
		select {
		case <-removed:
		case <-time.After(removeLimit):
			l.replace(proxy)
		}
	}, nil
}

// removeLimit is for toxiproxy's slicer, whose removal waits for ever if its
// connection ended while it was slicing.
const removeLimit = 2 * time.Second

// replace puts a fresh proxy in the place of one that hangs.
func (l *link) replace(hung *toxiproxy.Proxy) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.proxy != hung {
		return // another of its toxics was quicker
	}
	hung.Stop()
	l.proxy = toxiproxy.NewProxy(l.admin, "redis", l.addr, l.lossy.addr())
	_ = l.proxy.Start() // its port is free: we had it
}

// refuse closes the link and all its connections, and returns how to open it
// again.
func (l *link) refuse() func() {
	l.toxiproxy().Stop()
	return func() { _ = l.toxiproxy().Start() } // its port is free: we had it
}

// lossy is a proxy that loses requests and replies. Redis's clients send a
// command and read its reply, so that a read is one of either as a rule.
type lossy struct {
	listener net.Listener
	server   func() string // called for each connection
	apart    atomic.Bool   // nothing passes, and both ends stay open

	requests, replies atomic.Int64 // lost of a million
	mute              atomic.Int64 // of a million lost, how many leave the connection open and silent
	lost              atomic.Int64

	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func newLossy(t testing.TB, server string) *lossy {
	t.Helper()
	return newLossyTo(t, func() string { return server })
}

func newLossyTo(t testing.TB, server func() string) *lossy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lossy{listener: listener, server: server, conns: make(map[net.Conn]struct{})}
	go l.accept()
	t.Cleanup(func() {
		_ = listener.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		for c := range l.conns {
			_ = c.Close()
		}
		l.conns = nil
	})
	return l
}

func (l *lossy) addr() string { return l.listener.Addr().String() }

// retarget leads to another server from now on. Connections to the old one end.
func (l *lossy) retarget(server string) {
	l.mu.Lock()
	l.server = func() string { return server }
	l.mu.Unlock()
	l.drop()
}

// drop ends all connections.
func (l *lossy) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.Close()
	}
}

// cut lets nothing pass while both ends stay open, as a network does that has come
// apart.
func (l *lossy) cut(apart bool) { l.apart.Store(apart) }

// lose sets how many of the requests and replies get lost, and how many of
// those leave a silent connection behind.
func (l *lossy) lose(requests, replies, mute float64) {
	const all = 1e6
	l.requests.Store(int64(requests * all))
	l.replies.Store(int64(replies * all))
	l.mute.Store(int64(mute * all))
}

func (l *lossy) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		go func() {
			l.mu.Lock()
			to := l.server()
			l.mu.Unlock()
			server, err := net.Dial("tcp", to)
			if err != nil {
				_ = client.Close()
				return
			}
			if !l.keep(client, server) {
				return
			}
			var muted atomic.Bool
			go l.pump(server, client, &l.requests, &muted)
			l.pump(client, server, &l.replies, &muted)
		}()
	}
}

// keep notes connections that must end with the test.
func (l *lossy) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		if l.conns == nil {
			_ = c.Close()
			continue
		}
		l.conns[c] = struct{}{}
	}
	return l.conns != nil
}

// pump copies until one of both ends, or something gets lost.
func (l *lossy) pump(to, from net.Conn, rate *atomic.Int64, muted *atomic.Bool) {
	defer func() {
		_, _ = to.Close(), from.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, to)
		delete(l.conns, from)
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if !muted.Load() && rand.Int64N(1e6) < rate.Load() {
			l.lost.Add(1)
			if rand.Int64N(1e6) >= l.mute.Load() {
				return
			}
			muted.Store(true)
		}
		if muted.Load() {
			continue // both ways
		}
		if l.apart.Load() {
			muted.Store(true) // for good: bytes are missing
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
