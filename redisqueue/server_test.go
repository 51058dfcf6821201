package redisqueue_test

// Servers that may have lost grants: that one is another than before is seen in
// the data, whichever pod came first, and whatever the server knows of scripts.

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/lua"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// site is a master with a replica, and clients that go where they are told to.
type site struct {
	*testing.T
	a, b *redistest.Server
	now  atomic.Pointer[redistest.Server]
	log  logbook
}

func newSite(t *testing.T, binary redistest.Binary, replica ...string) *site {
	s := &site{T: t, a: binary.Start(t, "--repl-diskless-sync-delay", "0"), log: newLogbook()}
	s.b = binary.Start(t, append([]string{"--repl-diskless-sync-delay", "0"}, replica...)...)
	s.follow(s.b, s.a)
	s.now.Store(s.a)
	return s
}

// follow makes one server the replica of another, and returns once it has all.
func (s *site) follow(replica, master *redistest.Server) {
	s.Helper()
	admin := replica.Client(s.T)
	require.NoError(s, admin.Do(s.Context(), "REPLICAOF", "127.0.0.1", master.Port).Err())
	require.Eventually(s, func() bool {
		info, err := admin.Info(s.Context(), "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	}, 20*time.Second, 10*time.Millisecond)
}

func (s *site) promote(replica *redistest.Server) {
	require.NoError(s, replica.Client(s.T).Do(s.Context(), "REPLICAOF", "NO", "ONE").Err())
}

// switchTo makes clients go to another server; their connections to the old one end.
func (s *site) switchTo(server *redistest.Server) {
	old := s.now.Swap(server)
	if old.Running() {
		_ = old.Client(s.T).ClientKillByFilter(s.Context(), "TYPE", "normal").Err() // this client's own, too
	}
}

func (s *site) client() *redis.Client {
	return s.a.Client(s.T, func(o *redis.Options) {
		o.Dialer = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.now.Load().Addr)
		}
	})
}

func (s *site) pod(app string, more ...redisqueue.Option) *redisqueue.RedisQueue {
	return open(s.T, s.client(), append([]redisqueue.Option{
		redisqueue.WithApp(app), redisqueue.WithWindow(shortWindow), redisqueue.WithMargin(50 * time.Millisecond),
		redisqueue.WithPodLease(shortWindow), redisqueue.WithLimit(full(1)), s.log.option(),
	}, more...)...)
}

// grant waits for one and says when it came.
func (s *site) grant(q *redisqueue.RedisQueue) time.Time {
	s.Helper()
	require.NoError(s, q.Wait(s.Context(), 0))
	return time.Now()
}

// idle waits until every window is over and Redis has forgotten no script.
func (s *site) idle() { time.Sleep(2 * shortWindow) }

// Two pods have been served before; one gets a grant that is lost; the other
// remembers nothing of it.
func TestNoGrantFollowsALostOneTooSoon(t *testing.T) {
	t.Parallel()
	fresh := redisqueue.WithFreshStart()
	for _, c := range []struct {
		name   string
		params []string // of the replica
		lose   func(s *site, one, two *redisqueue.RedisQueue) (first time.Time, next *redisqueue.RedisQueue)
	}{
		{"InAFailover", nil, func(s *site, one, two *redisqueue.RedisQueue) (time.Time, *redisqueue.RedisQueue) {
			s.promote(s.b)
			first := s.grant(one)
			s.a.Kill()
			s.switchTo(s.b)
			return first, two
		}},
		{"InAFailbackToAServerThatKnowsTheScripts", nil, func(s *site, one, two *redisqueue.RedisQueue) (time.Time, *redisqueue.RedisQueue) {
			s.promote(s.b)
			s.follow(s.a, s.b)
			s.switchTo(s.b)
			s.grant(one)
			s.grant(two)
			s.idle()
			s.promote(s.a)
			first := s.grant(one)
			s.b.Kill()
			s.switchTo(s.a)
			return first, two
		}},
		{"InAFailbackToAServerThatHasMissedTheFailover", nil, func(s *site, one, two *redisqueue.RedisQueue) (time.Time, *redisqueue.RedisQueue) {
			s.promote(s.b)
			s.follow(s.a, s.b)
			s.promote(s.a) // a has its own witness yet
			s.switchTo(s.b)
			s.grant(open(s.T, s.client(), redisqueue.WithApp("bot"), redisqueue.WithWindow(shortWindow), redisqueue.WithPodLease(shortWindow), redisqueue.WithLimit(full(1))))
			first := time.Now()
			s.b.Kill()
			s.switchTo(s.a)
			return first, two
		}},
		{"WhereAnotherBotCameFirst", nil, func(s *site, one, two *redisqueue.RedisQueue) (time.Time, *redisqueue.RedisQueue) {
			s.promote(s.b)
			first := s.grant(one)
			s.a.Kill()
			s.switchTo(s.b)
			_ = ask(s.Context(), s.pod("another"), 0)
			time.Sleep(100 * time.Millisecond)
			return first, two
		}},
		{"WhereTheFirstCallWasRefused", []string{"--min-replicas-to-write", "1"}, func(s *site, one, two *redisqueue.RedisQueue) (time.Time, *redisqueue.RedisQueue) {
			s.promote(s.b)
			first := s.grant(one)
			s.a.Kill()
			s.switchTo(s.b)
			_ = ask(s.Context(), s.pod("bot"), 0) // NOREPLICAS
			time.Sleep(100 * time.Millisecond)
			require.NoError(s, s.b.Client(s.T).ConfigSet(s.Context(), "min-replicas-to-write", "0").Err())
			return first, two
		}},
		{"WhereSomebodyStartsAfresh", nil, func(s *site, one, _ *redisqueue.RedisQueue) (time.Time, *redisqueue.RedisQueue) {
			s.promote(s.b)
			first := s.grant(one)
			s.a.Kill()
			s.switchTo(s.b)
			return first, s.pod("bot", fresh)
		}},
		{"InARestartWithOldDataWhereAnotherBotCameFirst", nil, func(s *site, one, two *redisqueue.RedisQueue) (time.Time, *redisqueue.RedisQueue) {
			require.NoError(s, s.a.Client(s.T).Save(s.Context()).Err())
			first := s.grant(one)
			s.a.Kill()
			s.a.Restart()
			_ = ask(s.Context(), s.pod("another"), 0)
			time.Sleep(100 * time.Millisecond)
			return first, two
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, binary redistest.Binary) {
				s := newSite(t, binary, c.params...)
				one, two := s.pod("bot", fresh), s.pod("bot")
				s.grant(one)
				s.grant(two)
				s.idle()
				first, next := c.lose(s, one, two)
				gap := s.grant(next).Sub(first)
				require.GreaterOrEqual(t, gap, shortWindow, s.log.all())
			})
		})
	}
}

// What loses no grant costs nothing.
func TestAServerThatIsTheSameCostsNoHold(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, binary redistest.Binary) {
		s := newSite(t, binary)
		admin := s.a.Client(t)
		one := s.pod("bot", redisqueue.WithFreshStart())
		s.grant(one)
		for name, change := range map[string]func() error{
			"SCRIPT FLUSH":     func() error { return admin.ScriptFlush(t.Context()).Err() },
			"a pod that joins": func() error { return s.pod("bot").Wait(t.Context(), 0) },
			"another version": func() error {
				return open(t, &released{s.client()}, redisqueue.WithApp("bot"), redisqueue.WithWindow(shortWindow),
					redisqueue.WithMargin(50*time.Millisecond), redisqueue.WithPodLease(shortWindow), redisqueue.WithLimit(full(1))).Wait(t.Context(), 0)
			},
		} {
			require.NoError(t, change(), name)
			s.grant(one)
			closed, err := admin.HGet(t.Context(), "identify:{bot}:limits", "closed_until").Result()
			require.NoError(t, err)
			require.Equal(t, "0", closed, name)
		}
		require.Zero(t, s.log.said("another Redis server"), s.log.all())
	})
}

// released is a client of a pod whose claim script is of another version.
type released struct{ redis.Scripter }

const difference = "\n-- another version"

func (r *released) EvalSha(ctx context.Context, hash string, keys []string, args ...any) *redis.Cmd {
	if hash == claimHash {
		hash = redis.NewScript(lua.Claim.Source + difference).Hash()
	}
	return r.Scripter.EvalSha(ctx, hash, keys, args...)
}

func (r *released) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	if script == lua.Claim.Source {
		script += difference
	}
	return r.Scripter.Eval(ctx, script, keys, args...)
}

// A first replica that attaches gives a server another ID of replication: that
// cannot be told from a server that was a replica meanwhile.
func TestAServerThatIsAnotherIsSaidToBeSoOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, binary redistest.Binary) {
		s := newSite(t, binary)
		c := binary.Start(t, "--repl-diskless-sync-delay", "0")
		s.now.Store(c)
		one, two := s.pod("bot", redisqueue.WithFreshStart()), s.pod("bot")
		s.grant(one)
		s.grant(two)
		require.Zero(t, s.log.said("another Redis server"), s.log.all())
		s.follow(s.b, c)
		first := s.grant(one)
		s.grant(two)
		s.grant(one)
		require.GreaterOrEqual(t, time.Since(first), 2*shortWindow)
		require.Equal(t, 1, s.log.said("a first replica has attached"), s.log.all())
		require.Equal(t, 1, s.log.said("another Redis server"), s.log.all())
	})
}

func TestAServerThatDoesNotSayWhoItIsIsNamedOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, binary redistest.Binary) {
		server := binary.Start(t)
		admin := server.Client(t)
		var line []any
		for _, word := range strings.Fields(strings.Replace(minimalACL, "+info ", "", 1)) {
			line = append(line, word)
		}
		require.NoError(t, admin.Do(t.Context(), line...).Err())
		log := newLogbook()
		q := open(t, server.Client(t, func(o *redis.Options) { o.Username, o.Password = "gatewayqueue", "secret" }), brief(log.option())...)
		for range 3 {
			require.NoError(t, q.Wait(t.Context(), 0))
		}
		require.Equal(t, 1, log.said("Redis does not tell scripts which server it is"), log.all())
		require.Equal(t, 1, log.said("kind=a Redis user without +info"), log.all())
		before := log.said("it did not know the claim script") // 1 if the first answer of all came too late

		require.NoError(t, admin.ScriptFlush(t.Context()).Err()) // all that is left to go by
		require.NoError(t, q.Wait(t.Context(), 0))
		require.Equal(t, before+1, log.said("it did not know the claim script"), log.all())
	})
}

// A cluster's slot that has moved to another node loses nothing, but cannot be
// told from a node that has taken over.
func TestASlotThatMoves_CostsOneHold(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, binary redistest.Binary) {
		cluster, log := binary.StartCluster(t, 2, 0), newLogbook()
		q := open(t, cluster.Client(t), brief(log.option())...)
		require.NoError(t, q.Wait(t.Context(), 0))
		owner := cluster.Owner(t, at+"limits")
		other := cluster.Servers[0]
		if other == owner {
			other = cluster.Servers[1]
		}
		moving(t, owner, other)
		source, target := owner.Client(t), other.Client(t)
		slot := source.ClusterKeySlot(t.Context(), at+"limits").Val()
		for {
			keys, err := source.ClusterGetKeysInSlot(t.Context(), int(slot), 100).Result()
			require.NoError(t, err)
			if len(keys) == 0 {
				break
			}
			move := []any{"MIGRATE", "127.0.0.1", other.Port, "", 0, 5000, "KEYS"}
			for _, key := range keys {
				move = append(move, key)
			}
			require.NoError(t, source.Do(t.Context(), move...).Err())
		}
		node := target.ClusterMyID(t.Context()).Val()
		do("CLUSTER", "SETSLOT", slot, "NODE", node)(t, target)
		do("CLUSTER", "SETSLOT", slot, "NODE", node)(t, source)
		for range 3 {
			require.NoError(t, q.Wait(t.Context(), 0))
		}
		require.Equal(t, 1, log.said("another Redis server answers than before"), log.all())
		require.Equal(t, 1, log.said("now serves the queue's slot of a cluster"), log.all())
	})
}
