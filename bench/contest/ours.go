package contest

// Our own queues.

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Names of our own, for those who compare with them.
const (
	Wait     = "RedisQueue Wait"
	Acquire  = "RedisQueue Acquire"
	HTTP     = "HTTP service"
	InMemory = "memqueue"
)

// scripts are the commands of those who send nothing but scripts.
var scripts = []string{"evalsha", "eval"}

func redisWait() Contestant {
	return Contestant{
		Name: Wait, Ours: true, Sent: scripts,
		How: "this project's `redisqueue`: `Wait`, then IDENTIFY. `WithFreshStart`, because an empty Redis is new here and not lost.",
		Open: func(s Setup, client *redis.Client) (Pod, error) {
			q, err := newRedisQueue(s, client)
			return waiting{q}, err
		},
	}
}

func redisAcquire() Contestant {
	return Contestant{
		Name: Acquire, Ours: true, Permits: true, Sent: scripts,
		How: "the same: `gatewayqueue.Identify`, which is `Acquire`, dial, IDENTIFY, `Identified`.",
		Open: func(s Setup, client *redis.Client) (Pod, error) {
			q, err := newRedisQueue(s, client)
			return holding{q}, err
		},
	}
}

func service() Contestant {
	return Contestant{
		Name: HTTP, Ours: true, Permits: true, Sent: scripts,
		How: "this project's `httpqueue`: one server in front of a `RedisQueue`, and a client of it for each pod: `gatewayqueue.Identify`. Both ends are in the client's CPU.",
		Serve: func(s Setup, client *redis.Client) (string, func(), error) {
			q, err := newRedisQueue(s, client)
			if err != nil {
				return "", nil, err
			}
			handler, err := httpqueue.NewHandler(q)
			if err != nil {
				return "", nil, err
			}
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return "", nil, err
			}
			server := httpqueue.NewServer(handler)
			go func() { _ = server.Serve(httpqueue.Quiet(listener)) }()
			return "http://" + listener.Addr().String(), func() {
				_ = server.Close()
				_ = handler.Close()
				_ = q.Close()
			}, nil
		},
		Open: func(s Setup, _ *redis.Client) (Pod, error) {
			client, err := httpqueue.NewClient(s.Service)
			return holding{client}, err
		},
	}
}

func inMemory() Contestant {
	return Contestant{
		Name: InMemory, Ours: true, Local: true, Permits: true,
		How: "this project's queue of one process: `gatewayqueue.Identify`. All pods share it, which only goroutines can.",
		Open: func(s Setup, _ *redis.Client) (Pod, error) {
			q, err := memqueue.New(s.Limit, memqueue.WithWindow(s.Window),
				memqueue.WithMargin(s.Margin), memqueue.WithPermitMargin(s.PermitMargin), memqueue.WithLogger(slog.New(slog.DiscardHandler)))
			return holding{q}, err
		},
	}
}

func newRedisQueue(s Setup, client *redis.Client) (*redisqueue.RedisQueue, error) {
	opts := []redisqueue.Option{
		redisqueue.WithApp(s.App), redisqueue.WithPod(s.Pod), redisqueue.WithLimit(s.Limit), redisqueue.WithFreshStart(), redisqueue.WithReserve(0),
		redisqueue.WithWindow(s.Window), redisqueue.WithMargin(s.Margin), redisqueue.WithPermitMargin(s.PermitMargin),
		redisqueue.WithPermitLease(max(2*s.Window, s.Window+s.PermitMargin+time.Second)),
	}
	if s.PodLease > 0 {
		opts = append(opts, redisqueue.WithPodLease(s.PodLease))
	}
	return redisqueue.New(client, append(opts, redisqueue.WithLogger(slog.New(slog.DiscardHandler)))...)
}

type closer interface {
	gatewayqueue.PermitQueue
	Close() error
}

// waiting uses Wait.
type waiting struct{ closer }

func (p waiting) Turn(ctx context.Context, shard int, dial, identify func()) error {
	if err := p.Wait(ctx, shard); err != nil {
		return err
	}
	dial()
	identify()
	return nil
}

func (p waiting) Close() { _ = p.closer.Close() }

// holding uses permits.
type holding struct{ closer }

func (p holding) Turn(ctx context.Context, shard int, dial, identify func()) error {
	return gatewayqueue.Identify(ctx, p.closer, shard,
		func(context.Context) error { dial(); return nil },
		func(context.Context) error { identify(); return nil })
}

func (p holding) Close() { _ = p.closer.Close() }
