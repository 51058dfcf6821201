package redisqueue_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// slowReplies is a hook that holds up every reply.
type slowReplies struct{ by atomic.Int64 }

func (*slowReplies) DialHook(next redis.DialHook) redis.DialHook { return next }
func (*slowReplies) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (s *slowReplies) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		time.Sleep(time.Duration(s.by.Load()))
		return err
	}
}

func TestWithMarginLeft_WaitLeavesAsMuchOfIt(t *testing.T) {
	const left = time.Second
	for name, late := range map[string]time.Duration{"quick": 0, "slow": 200 * time.Millisecond, "slower": time.Second, "as slow as it may be": 2 * time.Second} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				var replies slowReplies
				replies.by.Store(int64(late))
				slow := virtualClient(t, server)
				slow.AddHook(perCommand{&replies})
				q := open(t, slow, fresh(1, redisqueue.WithMargin(left+250*time.Millisecond), redisqueue.WithMarginLeft(left))...)
				require.NoError(t, q.Wait(t.Context(), 0))
				status, err := open(t, client).Status(t.Context())
				require.NoError(t, err)
				require.GreaterOrEqual(t, status.Buckets[0].Closed, gatewayqueue.IdentifyDelay+left)
				require.Equal(t, 999, status.Budget.Remaining, "it has paid once")
				replies.by.Store(0)
				time.Sleep(3 * late) // those that are under way
			})
		})
	}
}
