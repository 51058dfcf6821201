package contest

// Lock libraries: a bucket's lock is taken for one window and never released.

import (
	"context"
	"math/rand/v2"
	"time"

	bsm "github.com/bsm/redislock"
	"github.com/go-redsync/redsync/v4"
	"github.com/go-redsync/redsync/v4/redis/goredis/v9"
	"github.com/redis/go-redis/v9"
)

func redislock() Contestant {
	return Contestant{
		Name: "redislock", Sent: scripts,
		How: "`github.com/bsm/redislock`: `Obtain` with the window as its TTL and `LinearBackoff`, 100 ms for 5 s as in its README, scaled with the window.",
		Open: func(s Setup, client *redis.Client) (Pod, error) {
			locker, step := bsm.New(client), s.scaled(100*time.Millisecond)
			return asking{s.Limit, func(ctx context.Context, bucket int) (bool, time.Duration) {
				// Without a deadline it would give up after the TTL.
				ctx, cancel := context.WithTimeout(ctx, time.Hour)
				defer cancel()
				_, err := locker.Obtain(ctx, s.key(bucket), s.period(), &bsm.Options{RetryStrategy: bsm.LinearBackoff(step)})
				return err == nil, step
			}}, nil
		},
	}
}

func redsyncMutex() Contestant {
	return Contestant{
		Name: "redsync", Sent: []string{"set", "evalsha", "eval"},
		How: "`github.com/go-redsync/redsync/v4`, one server: a mutex with the window as its expiry and its default delay between tries, 50 to 250 ms for 5 s, scaled with the window.",
		Open: func(s Setup, client *redis.Client) (Pod, error) {
			rs := redsync.New(goredis.NewPool(client))
			least, most := s.scaled(50*time.Millisecond), s.scaled(250*time.Millisecond)
			delay := func(int) time.Duration { return least + rand.N(most-least) }
			const forever = 1 << 30
			return asking{s.Limit, func(ctx context.Context, bucket int) (bool, time.Duration) {
				mutex := rs.NewMutex(s.key(bucket), redsync.WithExpiry(s.period()), redsync.WithTries(forever), redsync.WithRetryDelayFunc(delay))
				return mutex.LockContext(ctx) == nil, least
			}}, nil
		},
	}
}
