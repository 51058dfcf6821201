package faults

// Faults of servers that stand in for each other: Sentinel and Cluster.

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

var sentinelFaults = map[string]fault{
	"failover":         {do: failOver(false), servers: "sentinel", loses: true, needsSource: true, once: true}, // replication is never certain
	"lagging failover": {do: failOver(true), servers: "sentinel", loses: true, needsSource: true, once: true},
}

var clusterFaults = map[string]fault{
	"cluster failover": {do: clusterFailOver, servers: "cluster"},
	"cluster crash":    {do: clusterCrash, servers: "cluster", loses: true, needsSource: true, once: true},
	"resharding":       {do: reshard, servers: "cluster"},
}

// failOver kills the master; a lagging replica has missed its last grants.
func failOver(lagging bool) func(*run, *rand.Rand, time.Duration) {
	return func(r *run, _ *rand.Rand, length time.Duration) {
		r.onServer(func(ctx context.Context) {
			old := r.sentinel.Master(r.t)
			if lagging {
				admin := old.Client(r.t)
				for _, words := range [][]any{{"ACL", "SETUSER", "default", "-psync", "-sync"}, {"CLIENT", "KILL", "TYPE", "replica"}} {
					if err := admin.Do(ctx, words...).Err(); err != nil {
						r.t.Error(err)
					}
				}
				time.Sleep(length)
			}
			old.Kill()
			for r.sentinel.Master(r.t) == old && ctx.Err() == nil {
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
}

// ours is the server of the cluster that has our keys.
func (r *run) ours() *redistest.Server { return r.cluster.Owner(r.t, keyPrefix+"limits") }

// clusterFailOver makes the replica of our master the master, without a loss.
func clusterFailOver(r *run, _ *rand.Rand, _ time.Duration) {
	r.onServer(func(ctx context.Context) {
		old := r.ours()
		id, err := old.Client(r.t).ClusterMyID(ctx).Result()
		if err != nil {
			r.note("%v", err)
			return
		}
		for _, s := range r.cluster.Servers {
			nodes, _ := s.Client(r.t).ClusterNodes(ctx).Result()
			for _, line := range strings.Split(nodes, "\n") {
				if strings.Contains(line, "myself,slave "+id) {
					r.note("the replica %s takes over: %v", s.Addr, s.Client(r.t).ClusterFailover(ctx).Err())
				}
			}
		}
		r.await(5*time.Second, func() (time.Duration, bool) { return 0, r.ours() != old })
	})
}

func clusterCrash(r *run, _ *rand.Rand, _ time.Duration) {
	r.onServer(func(context.Context) {
		old := r.ours()
		old.Kill()
		r.await(20*time.Second, func() (time.Duration, bool) { return 0, r.ours() != old })
	})
}

// reshard moves the slot of our keys to another master, key by key, while pods
// use them.
func reshard(r *run, random *rand.Rand, length time.Duration) {
	r.onServer(func(ctx context.Context) {
		from := r.ours()
		to, err := r.otherMaster(ctx, from, random)
		if err != nil {
			r.note("resharding: %v", err)
			return
		}
		source, target := from.Client(r.t), to.Client(r.t)
		slot := source.ClusterKeySlot(ctx, keyPrefix+"limits").Val()
		sourceID, targetID := source.ClusterMyID(ctx).Val(), target.ClusterMyID(ctx).Val()
		do := func(c *redis.Client, words ...any) {
			if err := c.Do(ctx, words...).Err(); err != nil {
				r.note("resharding: %v: %v", words, err)
			}
		}
		do(target, "CLUSTER", "SETSLOT", slot, "IMPORTING", sourceID)
		do(source, "CLUSTER", "SETSLOT", slot, "MIGRATING", targetID)
		for ctx.Err() == nil {
			keys := source.ClusterGetKeysInSlot(ctx, int(slot), 3).Val()
			if len(keys) == 0 {
				break
			}
			words := []any{"MIGRATE", "127.0.0.1", fmt.Sprint(to.Port), "", 0, 5000, "KEYS"}
			for _, key := range keys {
				words = append(words, key)
			}
			do(source, words...)
			time.Sleep(length / 20)
		}
		do(target, "CLUSTER", "SETSLOT", slot, "NODE", targetID)
		do(source, "CLUSTER", "SETSLOT", slot, "NODE", targetID)
		for _, s := range r.cluster.Servers {
			if s.Running() && s != from && s != to {
				do(s.Client(r.t), "CLUSTER", "SETSLOT", slot, "NODE", targetID) // replicas refuse, and hear of it
			}
		}
	})
}

func (r *run) otherMaster(ctx context.Context, not *redistest.Server, random *rand.Rand) (*redistest.Server, error) {
	var masters []*redistest.Server
	for _, s := range r.cluster.Servers {
		if s == not || !s.Running() {
			continue
		}
		info, err := s.Client(r.t).Info(ctx, "replication").Result()
		if err != nil {
			return nil, err
		}
		if strings.Contains(info, "role:master") {
			masters = append(masters, s)
		}
	}
	if len(masters) == 0 {
		return nil, fmt.Errorf("no other master")
	}
	return masters[random.IntN(len(masters))], nil
}
