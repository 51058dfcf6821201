package redisqueue_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Tickets of pods that have died hold a living waiter up for the lease and one
// beat at most, whatever their number, however old they are, and whatever stands
// before them.
func TestDeadTickets_HoldNobodyUp(t *testing.T) {
	const window = 300 * time.Millisecond
	for _, dead := range []int{1, 500, 5000} {
		for name, closed := range map[string]time.Duration{"just dead": 0, "dead for minutes": 3 * time.Minute} {
			for first, living := range map[string]bool{"the dead first": false, "the living first": true} {
				t.Run(fmt.Sprint(dead, " ", name, ", ", first), func(t *testing.T) {
					within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
						live := open(t, client, fresh(1, redisqueue.WithWindow(window))...)
						killed, hook := cutOff(t, server, fresh(1, redisqueue.WithWindow(window))...)
						hold := closed + 10*time.Second
						require.NoError(t, client.Set(t.Context(), at+"slot:0", "by hand", hold).Err())
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						var before <-chan error
						if living {
							before = ask(ctx, live, 9)
							time.Sleep(time.Second)
						}
						for shard := range dead {
							_ = ask(ctx, killed, 10+shard)
						}
						time.Sleep(4 * time.Second)
						waiter := ask(ctx, live, 0)
						time.Sleep(time.Second)
						hook.set(errKilled)
						died := time.Now()
						left := client.PTTL(t.Context(), at+"slot:0").Val()
						require.NoError(t, answered(t, waiter, hold+time.Minute))
						if living {
							require.NoError(t, answered(t, before, time.Second))
						}
						late := time.Since(died) - max(left, 3*time.Second)
						assert.Less(t, late, 2*time.Second)
					})
				})
			}
		}
	}
}

// A pod that lives and beats but does not claim costs one wait, not one for each
// of its tickets.
func TestTicketsThatNobodyClaimsFor_CostOneWait(t *testing.T) {
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		q := open(t, client, fresh(1)...)
		now := time.Now()
		require.NoError(t, client.ZAdd(t.Context(), at+"pods", redis.Z{Score: float64(now.Add(time.Hour).UnixMilli()), Member: "mute"}).Err())
		var waiting []<-chan error
		for i := range 300 { // two of its tickets before each of ours
			require.NoError(t, client.ZAdd(t.Context(), at+"queue:0", redis.Z{Score: float64(now.UnixMilli() + int64(i)), Member: fmt.Sprintf("%05d@mute#%d", i, i)}).Err())
			if i%100 == 99 {
				time.Sleep(time.Second)
				now = time.Now()
				waiting = append(waiting, ask(t.Context(), q, 1000+i))
				time.Sleep(time.Second)
			}
		}
		start := time.Now()
		for i, w := range waiting {
			require.NoError(t, answered(t, w, time.Minute), i)
		}
		assert.Less(t, time.Since(start), 15*time.Second+3*6*time.Second)
	})
}

// A shard backs off from its last identify on, from whichever pod it asks and for
// however short a time.
func TestBackoff_EndsForCallsThatAreShorterThanIt(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		log := newLogbook()
		q := open(t, client, fresh(1, redisqueue.WithBackoff(1), log.option())...)
		for range 5 { // 5.25, 10.5, 21 and 42 s between them
			require.NoError(t, q.Wait(t.Context(), 7))
		}
		status, err := q.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, 84*time.Second, status.Backoffs[7].Sub(status.Time).Round(time.Second))
		other := open(t, virtualClient(t, server), fresh(1, redisqueue.WithBackoff(1))...)
		start := time.Now()
		for n := 0; ; n++ {
			pod := q
			if n%2 == 1 {
				pod = other
			}
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond) // ends in no instant in which the rest does
			err := pod.Wait(ctx, 7)
			cancel()
			if err == nil {
				break
			}
			require.ErrorIs(t, err, context.DeadlineExceeded)
			time.Sleep(time.Second)
			require.Less(t, time.Since(start), 2*time.Minute)
		}
		require.GreaterOrEqual(t, time.Since(start), 83*time.Second)
		require.Less(t, time.Since(start), 90*time.Second)
		require.LessOrEqual(t, log.said("a shard identifies too often"), 6, log.all())

		permit, err := q.Acquire(t.Context(), 8)
		require.NoError(t, err)
		require.NoError(t, permit.Identified(t.Context()))
		status, err = q.Status(t.Context())
		require.NoError(t, err)
		require.Contains(t, status.Backoffs, 7)
		require.Contains(t, status.Backoffs, 8)
	})
}

// onGrant does something while the reply to a grant is on its way.
type onGrant struct{ do func() }

func (onGrant) DialHook(next redis.DialHook) redis.DialHook { return next }

func (onGrant) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h onGrant) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if c, ok := cmd.(*redis.Cmd); ok {
			if reply, ok := c.Val().([]any); ok && len(reply) > 0 && reply[0] == "granted" {
				h.do()
			}
		}
		return err
	}
}

// A grant that is given back in its instant leaves no backoff, however its caller leaves.
func TestARest_IsNotLeftByAGrantThatIsGivenBack(t *testing.T) {
	type leaving func(q *redisqueue.RedisQueue, cancel func())
	for name, leave := range map[string]leaving{
		"APermitIsAbandoned": nil,
		"AContextEnds":       func(_ *redisqueue.RedisQueue, cancel func()) { cancel(); time.Sleep(time.Millisecond) },
		"ItsPodCloses": func(q *redisqueue.RedisQueue, _ func()) {
			go func() { _ = q.Close() }()
			time.Sleep(time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				q := open(t, client, fresh(1, redisqueue.WithBackoff(1))...)
				for range 5 { // the next backoff is 84 s
					require.NoError(t, q.Wait(t.Context(), 7))
				}
				client = virtualClient(t, server)
				other := open(t, client, fresh(1, redisqueue.WithBackoff(1))...)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if leave == nil {
					permit, err := other.Acquire(ctx, 7)
					require.NoError(t, err)
					require.NoError(t, permit.Abandon(ctx))
				} else {
					client.AddHook(perCommand{onGrant{func() { leave(other, cancel) }}})
					require.Error(t, other.Wait(ctx, 7))
				}
				time.Sleep(time.Second)
				start := time.Now()
				require.NoError(t, q.Wait(t.Context(), 7))
				require.Less(t, time.Since(start), 30*time.Second, "without the 168 s of that grant")
			})
		})
	}
}

func TestStatus_OfThousandsOfShardsListsThoseThatRest(t *testing.T) {
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		limit := gatewayqueue.SessionStartLimit{Total: 100_000, Remaining: 90_000, ResetAfter: time.Hour, MaxConcurrency: 16}
		q := open(t, client, redisqueue.WithFreshStart(), redisqueue.WithLimit(limit), redisqueue.WithBackoff(2))
		spent := make([]any, 0, 4000)
		for shard := range 2000 {
			spent = append(spent, shard, 1)
		}
		require.NoError(t, q.Wait(t.Context(), 0))
		require.NoError(t, client.HSet(t.Context(), at+"spent", spent...).Err())
		require.NoError(t, q.Wait(t.Context(), 0))
		status, err := q.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2000, status.SpentBy)
		require.Equal(t, 10_002, status.SpentAll, "what is gone from the budget")
		require.Equal(t, map[int]int{0: 2}, status.Spent)
		require.Contains(t, status.Backoffs, 0)
	})
}
