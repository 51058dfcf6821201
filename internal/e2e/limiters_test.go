// The ways to keep IDENTIFYs apart that are compared: ours, and what people do
// today.

package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/disgoorg/disgo/gateway"
	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/disgoqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

const (
	limiterPermits  = "permits" // ours: the adapter with its dialer
	limiterAcquire  = "acquire" // ours: the adapter alone
	limiterWait     = "wait"    // ours: Wait, and the dial after it
	limiterWaitLong = "wait with a long margin"
	limiterOwn      = "own"    // the library's, in each pod
	limiterPoller   = "poller" // SET NX, polled
)

func newLimiter(config podConfig, client redis.UniversalClient, queue *redisqueue.RedisQueue, log *slog.Logger) gateway.IdentifyRateLimiter {
	switch config.Limiter {
	case limiterPermits, limiterAcquire:
		return disgoqueue.New(queue, disgoqueue.WithLogger(log))
	case limiterWait, limiterWaitLong:
		return waiter{queue}
	case limiterPoller:
		return poller{client, config.Window, config.Limit.MaxConcurrency}
	case limiterOwn:
		return gateway.NewIdentifyRateLimiter(
			gateway.WithIdentifyMaxConcurrency(config.Limit.MaxConcurrency),
			gateway.WithIdentifyWait(config.Window),
			gateway.WithIdentifyRateLimiterLogger(log),
		)
	}
	exitOn(fmt.Errorf("no limiter %q", config.Limiter))
	return nil
}

// waiter is a queue without permits: the window starts at the grant.
type waiter struct{ queue *redisqueue.RedisQueue }

func (w waiter) Wait(ctx context.Context, shardID int) error { return w.queue.Wait(ctx, shardID) }
func (w waiter) Unlock(int)                                  {}
func (w waiter) Close(context.Context)                       { _ = w.queue.Close() }

// poller is what most fleets have: the process that sets the key may identify.
type poller struct {
	client         redis.UniversalClient
	window         time.Duration
	maxConcurrency int
}

func (p poller) Wait(ctx context.Context, shardID int) error {
	key := fmt.Sprintf("identify:%d", shardID%p.maxConcurrency)
	for {
		// The modern spelling of SetNX.
		err := p.client.SetArgs(ctx, key, 1, redis.SetArgs{Mode: "NX", TTL: p.window}).Err()
		if err != redis.Nil { //nolint:errorlint // go-redis returns it as it is
			return err
		}
		select {
		case <-time.After(p.window / 10):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p poller) Unlock(int)            {}
func (p poller) Close(context.Context) {}
