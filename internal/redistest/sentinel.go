package redistest

// A master, its replicas and three Sentinels that watch them.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

const (
	sentinels = 3
	quorum    = 2
)

// Sentinel is a running set of servers with Sentinels.
type Sentinel struct {
	MasterName string
	Servers    []*Server // the master of the start, then its replicas
	Sentinels  []*Server
	Addrs      []string // of Sentinels
}

// StartSentinel starts a master, its replicas and three Sentinels (quorum 2),
// and returns when the Sentinels see all of it: after about 2 s. A dead master
// is noticed after 1 s; its successor takes writes about 1 s later.
func (b Binary) StartSentinel(t testing.TB, replicas int, args ...string) *Sentinel {
	t.Helper()
	s := &Sentinel{MasterName: "mymaster", Servers: []*Server{b.Start(t, args...)}}
	master := s.Servers[0]
	for range replicas {
		s.Servers = append(s.Servers, b.Start(t, append([]string{
			"--replicaof", "127.0.0.1", strconv.Itoa(master.Port),
		}, args...)...))
	}
	for _, server := range s.Servers {
		client := server.Client(t)
		eventually(t, "replication", func(ctx context.Context) error { return linked(ctx, client) })
	}
	for range sentinels {
		server := b.startSentinel(t, s.MasterName, master)
		s.Sentinels, s.Addrs = append(s.Sentinels, server), append(s.Addrs, server.Addr)
	}
	for _, addr := range s.Addrs {
		client := sentinelClient(t, addr)
		eventually(t, "the Sentinels' view", func(ctx context.Context) error {
			view, err := client.Master(ctx, s.MasterName).Result()
			if err != nil {
				return err
			}
			if view["num-slaves"] != strconv.Itoa(replicas) || view["num-other-sentinels"] != strconv.Itoa(sentinels-1) {
				return fmt.Errorf("sees %s replicas and %s other Sentinels", view["num-slaves"], view["num-other-sentinels"])
			}
			return nil
		})
	}
	return s
}

func (b Binary) startSentinel(t testing.TB, name string, master *Server) *Server {
	t.Helper()
	port := reservePort(t)
	s := b.newServer(t, port)
	// A Sentinel keeps what it learns in its configuration file.
	file := filepath.Join(s.Dir, "sentinel.conf")
	text := strings.Join([]string{
		fmt.Sprintf("port %d", port),
		"bind 127.0.0.1",
		fmt.Sprintf("dir %q", s.Dir),
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d %d", name, master.Port, quorum),
		fmt.Sprintf("sentinel down-after-milliseconds %s 1000", name),
		fmt.Sprintf("sentinel failover-timeout %s 3000", name),
	}, "\n") + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatalf("redistest: %v", err)
	}
	s.args = []string{file, "--sentinel"}
	s.start(nil)
	return s
}

// Master returns the server that the Sentinels call the master now, as the
// first of them that answers sees it.
func (s *Sentinel) Master(t testing.TB) *Server {
	t.Helper()
	var master *Server
	eventually(t, "find the master", func(ctx context.Context) error {
		err := errors.New("no Sentinel runs")
		for i, addr := range s.Addrs {
			if !s.Sentinels[i].Running() {
				continue
			}
			var at []string
			if at, err = sentinelClient(t, addr).GetMasterAddrByName(ctx, s.MasterName).Result(); err != nil {
				continue
			}
			for _, server := range s.Servers {
				if server.Addr == net.JoinHostPort(at[0], at[1]) {
					master = server
					return nil
				}
			}
			err = fmt.Errorf("the Sentinels name an unknown master %v", at)
		}
		return err
	})
	return master
}

// Client returns a client that follows the master, closed when the test ends.
func (s *Sentinel) Client(t testing.TB, opts ...func(*redis.FailoverOptions)) *redis.Client {
	t.Helper()
	options := &redis.FailoverOptions{MasterName: s.MasterName, SentinelAddrs: s.Addrs}
	for _, opt := range opts {
		opt(options)
	}
	client := redis.NewFailoverClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func sentinelClient(t testing.TB, addr string) *redis.SentinelClient {
	client := redis.NewSentinelClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = client.Close() })
	return client
}
