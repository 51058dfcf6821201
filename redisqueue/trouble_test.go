package redisqueue_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// trouble is one row of the table of error classes in docs/operations.md, as a
// real server makes it.
type trouble struct {
	name   string
	says   string   // what the error says, as a regular expression
	slow   bool     // it takes its time until go-redis hears of it
	before string   // a version of which it is not true
	some   bool     // Status or Update work all the same
	start  []string // arguments of the server
	client func(*redis.Options)
	make   func(t *testing.T, s *redistest.Server, admin *redis.Client) (undo func())
}

func config(pairs ...string) func(*testing.T, *redistest.Server, *redis.Client) func() {
	return func(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
		var undo []func()
		for i := 0; i < len(pairs); i += 3 { // name, value, value afterwards
			require.NoError(t, admin.ConfigSet(t.Context(), pairs[i], pairs[i+1]).Err())
			undo = append(undo, func() { require.NoError(t, admin.ConfigSet(context.Background(), pairs[i], pairs[i+2]).Err()) })
		}
		return func() {
			for _, f := range undo {
				f()
			}
		}
	}
}

func do(args ...any) func(t *testing.T, admin *redis.Client) {
	return func(t *testing.T, admin *redis.Client) {
		require.NoError(t, admin.Do(context.Background(), args...).Err())
	}
}

// Those that wait: nobody gets an error, nobody a grant, and all go on once it
// is over.
var waits = []trouble{
	{name: "Refused", says: "connection refused", slow: true, make: func(_ *testing.T, s *redistest.Server, _ *redis.Client) func() {
		s.Kill()
		return func() { s.Restart() }
	}},
	{name: "Stalled", says: "i/o timeout", make: func(_ *testing.T, s *redistest.Server, _ *redis.Client) func() {
		s.Pause()
		return s.Resume
	}},
	{name: "READONLY", says: "READONLY", make: replica},
	{name: "MASTERDOWN", says: "MASTERDOWN", make: func(t *testing.T, s *redistest.Server, admin *redis.Client) func() {
		do("CONFIG", "SET", "replica-serve-stale-data", "no")(t, admin)
		return replica(t, s, admin)
	}},
	{name: "LOADING", says: "LOADING", slow: true, start: []string{"--key-load-delay", "2000", "--rdbcompression", "no"}, make: func(t *testing.T, s *redistest.Server, admin *redis.Client) func() {
		for i := range 3000 {
			require.NoError(t, admin.Set(t.Context(), fmt.Sprint(i), strings.Repeat("k", 8192), 0).Err())
		}
		require.NoError(t, admin.Save(t.Context()).Err())
		s.Kill()
		loaded := make(chan struct{})
		go func() { s.Restart(); close(loaded) }()
		return func() { <-loaded }
	}},
	{name: "OOM", says: "OOM ", make: config("maxmemory", "1", "0")},
	{name: "NOREPLICAS", says: "NOREPLICAS", before: "redis-6.0", make: config("min-replicas-to-write", "1", "0")},
	{name: "MISCONF", says: "MISCONF", make: func(t *testing.T, s *redistest.Server, admin *redis.Client) func() {
		do("CONFIG", "SET", "save", "3600 1")(t, admin)
		require.NoError(t, admin.Set(t.Context(), "k", "v", 0).Err())
		blocked := filepath.Join(s.Dir, "dump.rdb", "in-the-way") // a file cannot replace a directory
		require.NoError(t, os.MkdirAll(blocked, 0o700))
		require.NoError(t, admin.BgSave(t.Context()).Err())
		require.Eventually(t, func() bool {
			info, err := admin.Info(t.Context(), "persistence").Result()
			return err == nil && strings.Contains(info, "rdb_last_bgsave_status:err")
		}, 10*time.Second, 10*time.Millisecond)
		return func() { do("CONFIG", "SET", "stop-writes-on-bgsave-error", "no")(t, admin) }
	}},
	{name: "BUSY", says: "BUSY ", start: []string{"--lua-time-limit", "1"}, make: func(t *testing.T, s *redistest.Server, admin *redis.Client) func() {
		looping := s.Client(t, func(o *redis.Options) { o.ReadTimeout, o.MaxRetries = time.Minute, -1 })
		go looping.Eval(context.Background(), "while true do end", []string{"k"})
		require.Eventually(t, func() bool {
			err := admin.Get(t.Context(), "k").Err()
			return err != nil && strings.HasPrefix(err.Error(), "BUSY")
		}, 10*time.Second, 10*time.Millisecond)
		return func() { do("SCRIPT", "KILL")(t, admin) }
	}},
	{name: "MaxClients", says: "max number of clients|broken pipe|reset by peer|EOF", make: func(t *testing.T, s *redistest.Server, admin *redis.Client) func() {
		undo := config("maxclients", "1", "1000")(t, s, admin)
		do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")(t, admin)
		return undo
	}},
	{name: "CLUSTERDOWN", says: "CLUSTERDOWN", start: []string{"--cluster-enabled", "yes"}, make: func(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
		del := []any{"CLUSTER", "DELSLOTS"}
		add := []any{"CLUSTER", "ADDSLOTS"}
		for slot := range 16384 {
			del, add = append(del, slot), append(add, slot)
		}
		_ = admin.Do(t.Context(), del...) // the first time it has none
		return func() { do(add...)(t, admin) }
	}},
}

func replica(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
	do("REPLICAOF", "127.0.0.1", "1")(t, admin)
	return func() { do("REPLICAOF", "NO", "ONE")(t, admin) }
}

func TestTroubleThatPassesIsWaitedFor(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Binary) {
		for _, row := range waits {
			if row.before == b.Name {
				continue // it lets a script write all the same
			}
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				row.waits(t, b)
			})
		}
	})
}

func (row trouble) waits(t *testing.T, b redistest.Binary) {
	server := b.Start(t, row.start...)
	admin := server.Client(t, func(o *redis.Options) { o.PoolSize, o.MaxRetries = 1, 3 })
	require.NoError(t, admin.Ping(t.Context()).Err())
	log := newLogbook()
	client := func() *redis.Client {
		return server.Client(t, func(o *redis.Options) {
			if o.ReadTimeout = 200 * time.Millisecond; row.slow {
				o.ReadTimeout, o.MaxRetries = 5*time.Second, -1 // a server that loads answers now and then
			}
		})
	}
	old := open(t, client(), brief(log.option())...)
	if row.name != "CLUSTERDOWN" {
		require.NoError(t, old.Wait(t.Context(), 0))
	}
	undo := row.make(t, server, admin)
	young := open(t, client(), brief()...)
	first, second := ask(t.Context(), old, 1), ask(t.Context(), young, 2)
	said := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
		defer cancel()
		err := young.Wait(ctx, 3)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		return regexp.MustCompile(row.says).MatchString(err.Error())
	}
	for start := time.Now(); !said(); { // go-redis takes its time until it says that something is wrong
		require.Less(t, time.Since(start), time.Minute, "the last error of Redis is never joined")
	}
	waitsOn(t, first, 0)
	waitsOn(t, second, 0)
	if row.name != "MaxClients" { // whose connections come and go
		require.Eventually(t, func() bool { return log.said("Redis is unavailable") == 1 }, time.Minute, time.Millisecond, "%v", log.all())
	}
	undo()
	require.NoError(t, answered(t, first, time.Minute))
	require.NoError(t, answered(t, second, time.Minute))
	if row.name == "MaxClients" {
		return
	}
	require.Eventually(t, func() bool { return log.said("Redis answers again") == 1 }, time.Minute, time.Millisecond, "%v", log.all())
	require.Equal(t, 1, log.said("Redis is unavailable"), log.all())
}

// Those that are returned: waiting would not help.
var returns = []trouble{
	{name: "NOAUTH", says: "the server wants another password or user: set them in the options of the Redis client: ", start: []string{"--requirepass", "secret"}},
	{
		name: "WRONGPASS", says: "the server wants another password or user: set them in the options of the Redis client: WRONGPASS", start: []string{"--requirepass", "secret"},
		client: func(o *redis.Options) { o.Password = "guess" },
	},
	{
		name: "NOPERMForEVALSHA", says: "may not run the queue's scripts; docs/operations.md has the ACL it needs: NOPERM",
		make:   user("~*", "-@all", "+eval"),
		client: func(o *redis.Options) { o.Username, o.Password = "bot", "x" },
	},
	{
		name: "NOPERMInAScript", some: true, says: "may not run the queue's scripts; docs/operations.md has the ACL it needs",
		make:   user("~*", "+@all", "-zadd"),
		client: func(o *redis.Options) { o.Username, o.Password = "bot", "x" },
	},
	{
		name: "NOPERMForKeys", says: "may not run the queue's scripts; docs/operations.md has the ACL it needs",
		make:   user("~other:*", "+@all"),
		client: func(o *redis.Options) { o.Username, o.Password = "bot", "x" },
	},
	{name: "WRONGTYPE", some: true, says: "holds another type; is the application ID used by something else?", make: func(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
		require.NoError(t, admin.Set(t.Context(), at+"limits", "x", 0).Err())
		return nil
	}},
	{name: "BADVALUE", some: true, says: at + "limits seq: want a whole number of at most 15 digits: correct it with redis-cli", make: func(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
		require.NoError(t, admin.HSet(t.Context(), at+"limits", "epoch", "e", "seq", "x").Err())
		return nil
	}},
	{name: "UnknownCommand", says: "unknown command", start: []string{"--rename-command", "EVALSHA", ""}},
	{name: "NoSuchDB", says: "DB index is out of range", client: func(o *redis.Options) { o.DB = 999 }},
}

// user makes the user bot, whose password is x.
func user(rules ...any) func(*testing.T, *redistest.Server, *redis.Client) func() {
	return func(t *testing.T, _ *redistest.Server, admin *redis.Client) func() {
		do(append([]any{"ACL", "SETUSER", "bot", "on", ">x"}, rules...)...)(t, admin)
		return nil
	}
}

func TestMisuseIsReturned(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Binary) {
		for _, row := range returns {
			t.Run(row.name, func(t *testing.T) {
				t.Parallel()
				server := b.Start(t, row.start...)
				if row.make != nil {
					row.make(t, server, server.Client(t))
				}
				var opts []func(*redis.Options)
				if row.client != nil {
					opts = append(opts, row.client)
				}
				q := open(t, server.Client(t, opts...), brief()...)
				err := answered(t, ask(t.Context(), q, 0), 5*time.Second)
				require.ErrorContains(t, err, row.says)
				require.True(t, strings.HasPrefix(err.Error(), "redisqueue: "), err)
				t.Log(err)
				if row.some {
					return
				}
				_, err = q.Status(t.Context())
				require.ErrorContains(t, err, row.says)
				require.ErrorContains(t, q.Update(t.Context(), full(1)), row.says)
			})
		}
		t.Run("Cluster", func(t *testing.T) {
			t.Parallel()
			redirects(t, b.StartCluster(t, 2, 0))
		})
	})
}

// redirects provokes MOVED, ASK and TRYAGAIN.
func redirects(t *testing.T, cluster *redistest.Cluster) {
	owner := cluster.Owner(t, at+"limits")
	other := cluster.Servers[0]
	if other == owner {
		other = cluster.Servers[1]
	}
	redirected := func(s *redistest.Server, word string) {
		err := answered(t, ask(t.Context(), open(t, s.Client(t), brief()...), 0), 5*time.Second)
		require.ErrorContains(t, err, "the server is a Redis Cluster; use redis.NewClusterClient: "+word+" ")
	}
	redirected(other, "MOVED")
	moving(t, owner, other) // none of its keys is there
	redirected(owner, "ASK")
	admin := owner.Client(t)
	stable := do("CLUSTER", "SETSLOT", admin.ClusterKeySlot(t.Context(), at+"limits").Val(), "STABLE")
	stable(t, admin)
	require.NoError(t, admin.ZAdd(t.Context(), at+"queue:0", redis.Z{Score: 1, Member: "00009@dead#1"}).Err())
	moving(t, owner, other) // one of its keys is there, others are not: TRYAGAIN, here or, with ASK, there
	log := newLogbook()
	waiting := ask(t.Context(), open(t, cluster.Client(t), brief(log.option())...), 0)
	waitsOn(t, waiting, 5*time.Second)
	stable(t, admin)
	require.NoError(t, answered(t, waiting, 10*time.Second))
	require.Equal(t, 1, log.said("WARN the Redis Cluster is moving the queue's keys to another node"), log.all())
	require.Equal(t, 1, log.said("cure=finish the move, or if it was broken off: redis-cli --cluster fix"), log.all())
	require.Zero(t, log.said("Redis is unavailable"), log.all())
	require.Zero(t, log.said("Redis answers again"), log.all())
	require.Equal(t, 1, log.said("INFO the Redis Cluster has all of the queue's keys on one node again"), log.all())
}

// moving begins to move the slot of our keys.
func moving(t *testing.T, from, to *redistest.Server) {
	source, target := from.Client(t), to.Client(t)
	slot := source.ClusterKeySlot(t.Context(), at+"limits").Val()
	do("CLUSTER", "SETSLOT", slot, "IMPORTING", source.ClusterMyID(t.Context()).Val())(t, target)
	do("CLUSTER", "SETSLOT", slot, "MIGRATING", target.ClusterMyID(t.Context()).Val())(t, source)
}

// A script that is gone, or a connection, is nobody's trouble.
func TestAnythingElseIsNobodysTrouble(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Binary) {
		for name, harm := range map[string][]any{
			"SCRIPT FLUSH": {"SCRIPT", "FLUSH"}, "CLIENT KILL": {"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				server := b.Start(t)
				admin := server.Client(t)
				q := open(t, server.Client(t), brief()...)
				for shard := range 8 {
					waiter := ask(t.Context(), q, shard)
					require.NoError(t, admin.Do(t.Context(), harm...).Err())
					require.NoError(t, answered(t, waiter, 5*time.Second))
				}
				left, err := admin.Get(t.Context(), at+"remaining").Int()
				require.NoError(t, err)
				require.Equal(t, 992, left, "one unit each")
			})
		}
	})
}
