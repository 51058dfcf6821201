package redisqueue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// An error that waiting does not fix reaches all waiters by the next beat,
// however long they would have slept.
func TestAPermanentError_IsReturnedToAllWhoSleep(t *testing.T) {
	const beat = 1500 * time.Millisecond
	exhausted := gatewayqueue.SessionStartLimit{Total: 1000, ResetAfter: time.Hour, MaxConcurrency: 1}
	for where, row := range map[string]struct {
		opts   []redisqueue.Option
		wait   func(*testing.T, *redisqueue.RedisQueue) []<-chan error
		within time.Duration
	}{
		"in line behind an hour of others": {
			opts: fresh(1),
			wait: func(t *testing.T, q *redisqueue.RedisQueue) (all []<-chan error) {
				for shard := range 700 {
					all = append(all, ask(t.Context(), q, shard))
				}
				time.Sleep(5 * time.Second)
				return all[2:]
			},
			within: beat,
		},
		"in many lines that are far": {
			opts: fresh(64),
			wait: func(t *testing.T, q *redisqueue.RedisQueue) (all []<-chan error) {
				for shard := range 64 * 3 {
					if shard == 64 {
						time.Sleep(100 * time.Millisecond) // the first of each bucket are granted
					}
					all = append(all, ask(t.Context(), q, shard))
				}
				time.Sleep(3 * time.Second)
				return all[64:]
			},
			within: beat,
		},
		"for the reset": {
			opts: []redisqueue.Option{redisqueue.WithFreshStart(), redisqueue.WithLimit(exhausted)},
			wait: func(t *testing.T, q *redisqueue.RedisQueue) []<-chan error {
				return []<-chan error{ask(t.Context(), q, 0)}
			},
			within: 10 * beat,
		},
		"for the shard's backoff": {
			opts: append(fresh(1), redisqueue.WithBackoff(1)),
			wait: func(t *testing.T, q *redisqueue.RedisQueue) []<-chan error {
				for range 8 {
					require.NoError(t, q.Wait(t.Context(), 0))
				}
				return []<-chan error{ask(t.Context(), q, 0)}
			},
			within: 10 * beat,
		},
		"in the lobby, while the source gives no limits": {
			opts: []redisqueue.Option{redisqueue.WithLimitSource(func(context.Context) (gatewayqueue.SessionStartLimit, error) {
				return gatewayqueue.SessionStartLimit{}, errors.New("no route to host")
			})},
			wait: func(t *testing.T, q *redisqueue.RedisQueue) []<-chan error {
				return []<-chan error{ask(t.Context(), q, 0)}
			},
			within: 2 * beat,
		},
	} {
		for _, permanent := range []error{errors.New("NOPERM this user has no permissions to run the 'evalsha' command"), redis.ErrClosed} {
			t.Run(where+"/"+permanent.Error()[:6], func(t *testing.T) {
				within(t, func(t *testing.T, server *miniredis.Miniredis, _ *redis.Client) {
					client, hook := virtualClient(t, server), new(away)
					client.AddHook(perCommand{hook})
					q := open(t, client, row.opts...)
					waiting := row.wait(t, q)
					time.Sleep(2 * time.Second)
					var sleep []<-chan error
					for _, w := range waiting {
						select {
						case err := <-w:
							require.NoError(t, err) // it was granted before
						default:
							sleep = append(sleep, w)
						}
					}
					require.NotEmpty(t, sleep)
					hook.set(permanent)
					for _, w := range sleep {
						require.ErrorIs(t, answered(t, w, row.within+100*time.Millisecond), permanent)
					}
				})
			})
		}
	}
}

// A key that somebody has made another type of is no matter of other lines.
func TestAKeyOfAnotherType_RefusesItsOwnLineOnly(t *testing.T) {
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		q := open(t, client, fresh(3)...)
		for bucket := range 3 {
			require.NoError(t, q.Wait(t.Context(), bucket))
		}
		var waiting []<-chan error
		for shard := range 6 {
			waiting = append(waiting, ask(t.Context(), q, 3+shard))
		}
		time.Sleep(time.Second)
		require.NoError(t, client.Del(t.Context(), at+"queue:1").Err())
		require.NoError(t, client.Set(t.Context(), at+"queue:1", "x", 0).Err())
		for _, i := range []int{1, 4} {
			require.ErrorContains(t, answered(t, waiting[i], 2*time.Second), "holds another type")
		}
		for _, i := range []int{0, 2, 3, 5} {
			require.NoError(t, answered(t, waiting[i], 12*time.Second))
		}
	})
}

func TestLimitsUnderWhichNothingIsEverGranted_AreSaidOnce(t *testing.T) {
	for name, row := range map[string]struct {
		limit gatewayqueue.SessionStartLimit
		opts  []redisqueue.Option
		never string
	}{
		"a total of 0":     {gatewayqueue.SessionStartLimit{MaxConcurrency: 1}, nil, "the total is 0"},
		"a reserve of all": {gatewayqueue.SessionStartLimit{Total: 5, Remaining: 5, MaxConcurrency: 1}, []redisqueue.Option{redisqueue.WithReserve(5)}, "a reserve of 5 leaves nothing of a total of 5"},
		"one unit":         {gatewayqueue.SessionStartLimit{Total: 6, Remaining: 6, MaxConcurrency: 1}, []redisqueue.Option{redisqueue.WithReserve(5)}, ""},
		"none for now":     {gatewayqueue.SessionStartLimit{Total: 1000, ResetAfter: time.Hour, MaxConcurrency: 1}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
				log, told := newLogbook(), 0
				if row.never != "" {
					told = 1
				}
				q := open(t, client, append(row.opts, redisqueue.WithFreshStart(), redisqueue.WithLimit(row.limit), log.option())...)
				waiter := ask(t.Context(), q, 0)
				time.Sleep(20 * time.Minute)
				require.Equal(t, told, log.said("nothing is ever granted under these limits"), log.all())
				status, err := q.Status(t.Context())
				require.NoError(t, err)
				if told == 0 {
					require.Empty(t, status.Budget.Never)
					return
				}
				require.Contains(t, status.Budget.Never, row.never)
				require.ErrorIs(t, q.Ready(t.Context()), redisqueue.ErrNeverGrants)
				waitsOn(t, waiter, 0)
				require.NoError(t, q.Update(t.Context(), full(1)))
				status, err = q.Status(t.Context())
				require.NoError(t, err)
				require.Empty(t, status.Budget.Never)
			})
		})
	}
}
