package redisqueue_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

type (
	embedsRing      struct{ *redis.Ring }
	embedsUniversal struct{ redis.UniversalClient }
	embedsScripter  struct{ redis.Scripter }
	holdsClient     struct {
		redis.Scripter
		cache *redis.Ring // of something else
		main  *redis.Client
	}
)

func TestNew_ClientThatCannotHoldAQueue(t *testing.T) {
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}})
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	cluster := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})
	t.Cleanup(func() { _, _, _ = ring.Close(), client.Close(), cluster.Close() })
	replicas := redisqueue.WithReplicas(1)
	for name, c := range map[string]struct {
		client redis.Scripter
		opts   []redisqueue.Option
		want   string // part of the error; '' if it is taken
	}{
		"ARing":                        {client: ring, want: "a redis.Ring"},
		"ARingAsAUniversalClient":      {client: redis.UniversalClient(ring), want: "NewFailoverClient"},
		"ARingThatIsEmbedded":          {client: embedsRing{ring}, want: "a redis.Ring"},
		"ARingBehindAnInterface":       {client: embedsUniversal{ring}, want: "a redis.Ring"},
		"ARingBehindTwo":               {client: &embedsScripter{embedsUniversal{ring}}, want: "a redis.Ring"},
		"APipeline":                    {client: client.Pipeline(), want: "wait for Exec"},
		"ATransaction":                 {client: cluster.TxPipeline(), want: "wait for Exec"},
		"NoClient":                     {client: nil, want: "nil"},
		"NoClientOfSomeType":           {client: (*redis.Client)(nil), want: "nil"},
		"AClient":                      {client: client},
		"AClientBehindAnInterface":     {client: embedsUniversal{client}},
		"AClientBesideARingOfElse":     {client: holdsClient{client, ring, client}},
		"ACluster":                     {client: cluster},
		"AClientForReplicas":           {client: client, opts: []redisqueue.Option{replicas}},
		"AClusterForReplicas":          {client: cluster, opts: []redisqueue.Option{replicas}},
		"AnUnknownClientForReplicas":   {client: embedsScripter{client}, opts: []redisqueue.Option{replicas}, want: "WithReplicas"},
		"LessThanNoReplica":            {client: client, opts: []redisqueue.Option{redisqueue.WithReplicas(-1)}, want: "0 to 100"},
		"MoreReplicasThanAnybodyNeeds": {client: client, opts: []redisqueue.Option{redisqueue.WithReplicas(101)}, want: "0 to 100"},
	} {
		t.Run(name, func(t *testing.T) {
			q, err := redisqueue.New(c.client, c.opts...)
			if c.want == "" {
				require.NoError(t, err)
				require.NoError(t, q.Close())
				return
			}
			var invalid *gatewayqueue.InvalidError
			require.ErrorAs(t, err, &invalid)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// A cluster's client that reads from replicas sends scripts to masters yet.
func TestAClusterClientThatReadsFromReplicas(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, binary redistest.Binary) {
		cluster := binary.StartCluster(t, 2, 1)
		reads := map[string]func(*redis.ClusterOptions){
			"ReadOnly":       func(o *redis.ClusterOptions) { o.ReadOnly = true },
			"RouteByLatency": func(o *redis.ClusterOptions) { o.RouteByLatency = true },
			"RouteRandomly":  func(o *redis.ClusterOptions) { o.RouteRandomly = true },
		}
		if raceEnabled { // go-redis 9.23 measures a new node while it still sets the node's options
			delete(reads, "RouteByLatency")
		}
		for name, opt := range reads {
			for _, replicas := range []int{0, 1} {
				q := open(t, cluster.Client(t, opt), brief(redisqueue.WithApp(name), redisqueue.WithReplicas(replicas))...)
				for range 5 {
					permit, err := q.Acquire(t.Context(), 0)
					require.NoError(t, err, name)
					require.NoError(t, permit.Identified(t.Context()), name)
				}
				status, err := q.Status(t.Context())
				require.NoError(t, err)
				require.Equal(t, 1000-5*(1+replicas), status.Budget.Remaining, name)
			}
		}
	})
}

// cable is a network between two servers that can be cut: both ends stay open.
type cable struct {
	net.Listener
	cut atomic.Bool
}

func newCable(t *testing.T, to string) *cable {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cable{Listener: listener}
	var all sync.WaitGroup
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended); _ = c.Close(); all.Wait() })
	pump := func(from, to net.Conn) {
		defer from.Close()
		defer to.Close()
		stop := context.AfterFunc(t.Context(), func() { _ = from.Close() })
		defer stop()
		buffer := make([]byte, 1<<16)
		for {
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			if !c.cut.Load() {
				_, _ = to.Write(buffer[:n])
			}
		}
	}
	all.Go(func() {
		for {
			near, err := c.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			all.Go(func() { pump(near, far) })
			all.Go(func() { pump(far, near) })
		}
	})
	return c
}

func (c *cable) port() int { return c.Addr().(*net.TCPAddr).Port }

var _ io.Closer = (*cable)(nil)

// Two masters, each with pods that ask it: with WithReplicas only that grants
// which still has its replicas.
func TestWithReplicas_PartitionWithTwoMasters(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, binary redistest.Binary) {
		a, b, c := binary.Start(t, "--repl-diskless-sync-delay", "0"), binary.Start(t, "--repl-diskless-sync-delay", "0"), binary.Start(t, "--repl-diskless-sync-delay", "0")
		link := newCable(t, a.Addr)
		s := &site{T: t, a: a, b: b, log: newLogbook()}
		require.NoError(t, b.Client(t).Do(t.Context(), "REPLICAOF", "127.0.0.1", link.port()).Err())
		s.now.Store(a)
		one := s.pod("bot", redisqueue.WithFreshStart(), redisqueue.WithReplicas(1))
		two := s.pod("bot", redisqueue.WithReplicas(1))
		s.grant(one) // which waits until there is a replica
		s.grant(two)

		permit, err := one.Acquire(t.Context(), 0)
		require.NoError(t, err)
		link.cut.Store(true)
		last := permit.Deadline()
		cutOff, end := context.WithTimeout(t.Context(), 6*shortWindow)
		defer end()
		require.ErrorContains(t, one.Wait(cutOff, 0), "NOREPLICAS 0 of 1")
		require.LessOrEqual(t, permit.Deadline().Sub(last), shortWindow, "a renewal that no replica has counts no more")

		s.promote(b)
		s.follow(c, b)
		s.now.Store(b)
		began := time.Now()
		s.grant(open(t, s.client(), redisqueue.WithApp("bot"), redisqueue.WithWindow(shortWindow),
			redisqueue.WithPodLease(shortWindow), redisqueue.WithLimit(full(1)), redisqueue.WithReplicas(1)))
		require.GreaterOrEqual(t, time.Since(began), 2*shortWindow, "the hold of another server")
	})
}

// While a roll-out goes on some pods have the option and some do not, or ask for
// less: what one of them asks for counts for all, from the first grant on.
func TestOptionsThatDiffer_Replicas(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, binary redistest.Binary) {
		for name, own := range map[string]int{"none": 0, "fewer": 1} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := newSite(t, binary)
				c := binary.Start(t, "--repl-diskless-sync-delay", "0")
				s.follow(c, s.a)
				late := s.pod("bot", redisqueue.WithFreshStart(), redisqueue.WithReplicas(own))
				s.grant(late)
				s.grant(s.pod("bot", redisqueue.WithReplicas(2)))
				s.b.Pause()
				answer := ask(t.Context(), late, 0)
				waitsOn(t, answer, 4*shortWindow)
				require.Equal(t, 1, s.log.said("WARN other pods want more replicas to acknowledge a grant"), s.log.all())
				s.b.Resume()
				require.NoError(t, answered(t, answer, time.Minute))
				left, err := s.a.Client(t).Get(t.Context(), "identify:{bot}:remaining").Int()
				require.NoError(t, err)
				require.Equal(t, 997, left, "it has paid once")
			})
		}
		t.Run("a client that cannot ask", func(t *testing.T) {
			t.Parallel()
			s := newSite(t, binary)
			s.grant(s.pod("bot", redisqueue.WithFreshStart(), redisqueue.WithReplicas(1)))
			other := open(t, struct{ redis.Scripter }{s.client()}, redisqueue.WithApp("bot"), redisqueue.WithWindow(shortWindow),
				redisqueue.WithPodLease(shortWindow), redisqueue.WithLimit(full(1)), s.log.option())
			waitsOn(t, ask(t.Context(), other, 0), 4*shortWindow)
			require.Equal(t, 1, s.log.said("cure=give New a *redis.Client or *redis.ClusterClient"), s.log.all())
		})
	})
}

// A grant that was not acknowledged does not count yet, and costs one unit however
// often it is asked for.
func TestWithReplicas_ReplicaThatComesBack(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, binary redistest.Binary) {
		s := newSite(t, binary)
		q := s.pod("bot", redisqueue.WithFreshStart(), redisqueue.WithReplicas(1))
		s.grant(q)
		before := s.log.said("WARN Redis's replicas do not acknowledge grants") // the replica may have been late for the first
		s.b.Pause()
		answer := ask(t.Context(), q, 0)
		waitsOn(t, answer, 3*shortWindow)
		require.Eventually(t, func() bool { return s.log.said("WARN Redis's replicas do not acknowledge grants") == before+1 },
			time.Minute, time.Millisecond, s.log.all())
		require.ErrorContains(t, q.Ready(t.Context()), "NOREPLICAS")
		s.b.Resume()
		require.NoError(t, answered(t, answer, 20*time.Second))
		require.Eventually(t, func() bool { // it is said right after the grant; a busy replica may be late once more
			return q.Ready(t.Context()) == nil && s.log.said("INFO Redis's replicas acknowledge grants again") > 0
		}, 30*time.Second, 10*time.Millisecond, s.log.all())
		status, err := q.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, 998, status.Budget.Remaining)
	})
}

// What docs/operations.md says of the server's own setting.
func TestMinReplicasToWrite_ScriptsOfRedis6(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, binary redistest.Binary) {
		server := binary.Start(t, "--min-replicas-to-write", "1")
		err := server.Client(t).Eval(t.Context(), "return redis.call('SET', KEYS[1], '1')", []string{"k"}).Err()
		if info := server.Client(t).Info(t.Context(), "server").Val(); strings.Contains(info, "redis_version:6.") {
			require.NoError(t, err)
			return
		}
		require.ErrorContains(t, err, "NOREPLICAS")
	})
}
