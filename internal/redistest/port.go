package redistest

// Ports that stay ours for as long as the test runs, also while the server is
// down: a port that the system lends out could become the source port of a
// client that dials it, which then talks to itself.

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// All below 32768, where Linux begins to lend ports out. A Cluster node's bus
// listens 10000 above its port. The process that holds the guard port owns the port: test
// processes run side by side, and a listener is a lock that ends with them.
const (
	firstPort   = 20000
	ports       = 2768
	busOffset   = 10000
	guardOffset = 5000
)

func reservePort(t testing.TB) int {
	t.Helper()
	for range 200 {
		port := firstPort + rand.IntN(ports)
		guard, err := listen(port + guardOffset)
		if err != nil {
			continue
		}
		if !free(port) || !free(port+busOffset) {
			_ = guard.Close()
			continue
		}
		t.Cleanup(func() { _ = guard.Close() })
		return port
	}
	t.Fatalf("redistest: no free port between %d and %d", firstPort, firstPort+ports)
	return 0
}

func free(port int) bool {
	l, err := listen(port)
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

func listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}
