package workload

// A pod's network, which can be cut: what its process dying looks like to
// everybody else.

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

var errCut = errors.New("workload: this pod was killed")

type cord struct {
	mu    sync.Mutex
	cut   bool
	conns []net.Conn
}

// client is a pod's own client: go-redis as it comes, but for the dialler.
func (c *cord) client(addr string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: addr, Dialer: c.dial})
}

func (c *cord) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: 5 * time.Second, KeepAlive: 5 * time.Minute}
	conn, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		_ = conn.Close()
		return nil, errCut
	}
	c.conns = append(c.conns, conn)
	return conn, nil
}

// sever ends every connection and allows no new one.
func (c *cord) sever() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}
