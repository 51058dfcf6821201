// Package balancetest is a balancer for tests: in front of several servers, as a
// Service of Kubernetes is, it sends each connection to the next one, dead or alive.
package balancetest

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Balancer listens on a loopback port until its test ends.
type Balancer struct {
	Addr string       // host:port
	Lost atomic.Int64 // connections to a target that was down

	next    atomic.Int64
	mu      sync.Mutex
	targets []string
}

// Start starts a balancer of targets, each host:port.
func Start(t testing.TB, targets ...string) *Balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("balancetest: %v", err)
	}
	t.Cleanup(func() { _ = l.Close() })
	b := &Balancer{Addr: l.Addr().String(), targets: targets}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go b.forward(conn)
		}
	}()
	return b
}

// Add adds a target.
func (b *Balancer) Add(target string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.targets = append(b.targets, target)
}

// Replace puts another target in the place of the i-th.
func (b *Balancer) Replace(i int, target string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.targets[i] = target
}

// Next is the target whose turn it is.
func (b *Balancer) Next() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.targets[int(b.next.Add(1))%len(b.targets)]
}

func (b *Balancer) forward(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	backend, err := net.Dial("tcp", b.Next())
	if err != nil {
		b.Lost.Add(1)
		return
	}
	defer func() { _ = backend.Close() }()
	go func() {
		_, _ = io.Copy(backend, conn)
		_ = backend.Close() // the client has hung up
	}()
	_, _ = io.Copy(conn, backend)
}
