package redistest

// A Redis Cluster on loopback, put together with plain CLUSTER commands, so
// that no redis-cli is needed.

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

const clusterSlots = 16384

// Cluster is a running Redis Cluster.
type Cluster struct {
	Servers []*Server // the masters of the start, then their replicas
	Addrs   []string  // of Servers
}

// StartCluster starts masters nodes that share all slots and replicasPer
// replicas of each, and returns when every node says that all is well: after
// about 2 s. A dead master is noticed after 1 s (cluster-node-timeout).
func (b Binary) StartCluster(t testing.TB, masters, replicasPer int, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{}
	args = append([]string{
		"--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
		"--cluster-config-file", "nodes.conf",
	}, args...)
	for range masters * (1 + replicasPer) {
		s := b.Start(t, args...)
		c.Servers, c.Addrs = append(c.Servers, s), append(c.Addrs, s.Addr)
	}

	ctx := context.Background()
	nodes := c.nodes(t)
	ids := make([]string, len(nodes))
	for i, node := range nodes {
		ids[i] = must(t, "the node's ID", node.ClusterMyID(ctx).Result)
		// As redis-cli --cluster create does: no two nodes begin with one epoch.
		must(t, "set the epoch", node.Do(ctx, "CLUSTER", "SET-CONFIG-EPOCH", i+1).Result)
		if i > 0 {
			must(t, "meet", nodes[0].ClusterMeet(ctx, "127.0.0.1", fmt.Sprint(c.Servers[i].Port)).Result)
		}
		if i < masters {
			must(t, "add slots", node.ClusterAddSlots(ctx, slotShare(i, masters)...).Result)
		}
	}
	for i := masters; i < len(nodes); i++ {
		eventually(t, "replicate", func(ctx context.Context) error { // until it knows its master
			return nodes[i].ClusterReplicate(ctx, ids[i%masters]).Err()
		})
	}
	c.AwaitOK(t)
	return c
}

// slotShare lists the slots one by one: ADDSLOTSRANGE needs Redis 7.0.
func slotShare(i, masters int) []int {
	var slots []int
	for slot := clusterSlots * i / masters; slot < clusterSlots*(i+1)/masters; slot++ {
		slots = append(slots, slot)
	}
	return slots
}

// AwaitOK returns when every running node sees all slots served and every other
// node, and every running replica is linked to its master.
func (c *Cluster) AwaitOK(t testing.TB) {
	t.Helper()
	for i, node := range c.nodes(t) {
		if !c.Servers[i].Running() {
			continue
		}
		eventually(t, "the cluster of "+c.Addrs[i], func(ctx context.Context) error {
			info, err := node.ClusterInfo(ctx).Result()
			if err != nil {
				return err
			}
			if want := fmt.Sprintf("cluster_known_nodes:%d\r", len(c.Servers)); !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, want) {
				return fmt.Errorf("not well: %s", info)
			}
			return linked(ctx, node)
		})
	}
}

// Owner returns the server that serves key now, as the first node that answers
// sees it.
func (c *Cluster) Owner(t testing.TB, key string) *Server {
	t.Helper()
	var owner *Server
	eventually(t, "find the owner of "+key, func(ctx context.Context) error {
		var err error
		for i, node := range c.nodes(t) {
			if !c.Servers[i].Running() {
				continue
			}
			if owner, err = c.ownerBy(ctx, node, key); err == nil {
				return nil
			}
		}
		return err
	})
	return owner
}

func (c *Cluster) ownerBy(ctx context.Context, node *redis.Client, key string) (*Server, error) {
	slot, err := node.ClusterKeySlot(ctx, key).Result()
	if err != nil {
		return nil, err
	}
	ranges, err := node.ClusterSlots(ctx).Result() //nolint:staticcheck // ClusterShards needs Redis 7.0
	if err != nil {
		return nil, err
	}
	for _, r := range ranges {
		if int64(r.Start) <= slot && slot <= int64(r.End) && len(r.Nodes) > 0 {
			if i := slices.Index(c.Addrs, r.Nodes[0].Addr); i >= 0 {
				return c.Servers[i], nil
			}
		}
	}
	return nil, fmt.Errorf("nobody serves slot %d", slot)
}

// Client returns a client of the whole cluster, closed when the test ends.
func (c *Cluster) Client(t testing.TB, opts ...func(*redis.ClusterOptions)) *redis.ClusterClient {
	t.Helper()
	options := &redis.ClusterOptions{Addrs: c.Addrs}
	for _, opt := range opts {
		opt(options)
	}
	client := redis.NewClusterClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func (c *Cluster) nodes(t testing.TB) []*redis.Client {
	nodes := make([]*redis.Client, len(c.Servers))
	for i, s := range c.Servers {
		nodes[i] = s.Client(t)
	}
	return nodes
}

// linked is nil for a master and for a replica that has its master's data.
func linked(ctx context.Context, c *redis.Client) error {
	info, err := c.Info(ctx, "replication").Result()
	if err != nil {
		return err
	}
	if strings.Contains(info, "role:slave") && !strings.Contains(info, "master_link_status:up") {
		return fmt.Errorf("the replica %s has no link to its master yet", c.Options().Addr)
	}
	return nil
}

func must[T any](t testing.TB, what string, call func() (T, error)) T {
	t.Helper()
	v, err := call()
	if err != nil {
		t.Fatalf("redistest: %s: %v", what, err)
	}
	return v
}
