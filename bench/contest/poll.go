package contest

// Those who ask again and again: plain SET NX in two ways, and redis_rate.

import (
	"context"
	"strconv"
	"time"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
)

// Poller is the peer that most bots use today.
const Poller = "SET NX poller"

// asking is a pod that asks for its shard's bucket until it gets it.
type asking struct {
	limit gatewayqueue.SessionStartLimit
	// ask tries once. If it fails, the pod tries again after the wait.
	ask func(ctx context.Context, bucket int) (got bool, wait time.Duration)
}

func (p asking) Turn(ctx context.Context, shard int, dial, identify func()) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		got, wait := p.ask(ctx, p.limit.Bucket(shard))
		if got {
			dial()
			identify()
			return nil
		}
		if err := ctxerr.Sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func (asking) Close() {}

func (s Setup) key(bucket int) string { return s.App + ":identify:" + strconv.Itoa(bucket) }

func poller() Contestant {
	return Contestant{
		Name: Poller, Sent: []string{"set"},
		How: "`SET key 1 NX PX`, 6/5 of the window, tried again every tenth of a window: PluralKit's timing (6 s, 500 ms), which is also that of most bots that share a bucket through Redis.",
		Open: func(s Setup, client *redis.Client) (Pod, error) {
			closes, retry := s.period()*6/5, s.Window/10
			return asking{s.Limit, func(ctx context.Context, bucket int) (bool, time.Duration) {
				err := client.SetArgs(ctx, s.key(bucket), 1, redis.SetArgs{Mode: "NX", TTL: closes}).Err()
				return err == nil, retry
			}}, nil
		},
	}
}

func sleeper() Contestant {
	return Contestant{
		Name: "SET NX, sleep PTTL", Sent: []string{"set", "pttl"},
		How: "`SET key 1 NX PX` for one window; who fails sleeps for as long as `PTTL` says. What a careful developer writes in an hour.",
		Open: func(s Setup, client *redis.Client) (Pod, error) {
			return asking{s.Limit, func(ctx context.Context, bucket int) (bool, time.Duration) {
				err := client.SetArgs(ctx, s.key(bucket), 1, redis.SetArgs{Mode: "NX", TTL: s.period()}).Err()
				if err == nil {
					return true, 0
				}
				left, err := client.PTTL(ctx, s.key(bucket)).Result()
				if err != nil || left <= 0 { // gone, or in its last millisecond
					left = time.Millisecond
				}
				return false, left + time.Millisecond
			}}, nil
		},
	}
}

func redisRate() Contestant {
	return Contestant{
		Name: "redis_rate", Sent: scripts,
		How: "`github.com/go-redis/redis_rate/v10`: `Allow` with rate 1, burst 1 and the window as its period; who is refused sleeps for `RetryAfter`, as its README says.",
		Open: func(s Setup, client *redis.Client) (Pod, error) {
			limiter := redis_rate.NewLimiter(client)
			limit := redis_rate.Limit{Rate: 1, Burst: 1, Period: s.period()}
			return asking{s.Limit, func(ctx context.Context, bucket int) (bool, time.Duration) {
				r, err := limiter.Allow(ctx, s.key(bucket), limit)
				if err != nil {
					return false, s.Window / 10
				}
				return r.Allowed > 0, max(r.RetryAfter, 0)
			}}, nil
		},
	}
}
