package redisqueue_test

// What beats must notice, and must not make too much of.

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// While the budget is used up, all lines are asked about at the reset, however
// short they are.
func TestManyLinesThatWaitForTheResetBeatNoFaster(t *testing.T) {
	const buckets = 40
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1, ResetAfter: time.Hour, MaxConcurrency: buckets}
		opts := []redisqueue.Option{redisqueue.WithFreshStart(), redisqueue.WithLimit(limit), redisqueue.WithReserve(0)}
		other := open(t, client, opts...)
		queue, hook := cutOff(t, server, opts...)
		for shard := range buckets {
			_ = ask(t.Context(), other, shard)
		}
		time.Sleep(time.Second)
		for shard := range buckets {
			_ = ask(t.Context(), queue, buckets+shard)
		}
		time.Sleep(time.Minute)
		before := hook.calls()
		time.Sleep(time.Minute)
		require.Less(t, hook.calls()-before, 20, "a lease of 30 s, and 40 lines in at most 3 beats")
	})
}

// A reset brings nothing where a full budget leaves no unit either. That is asked
// about once a minute, not in each beat that the beat before has caused.
func TestAResetThatBringsNoUnitIsNotAskedAboutWithoutPause(t *testing.T) {
	limit := gatewayqueue.SessionStartLimit{Total: 4, Remaining: 2, ResetAfter: time.Minute, MaxConcurrency: 2}
	lowered := gatewayqueue.SessionStartLimit{Total: 1, Remaining: 0, ResetAfter: time.Minute, MaxConcurrency: 2}
	for name, tc := range map[string]struct {
		reserve int
		change  func(t *testing.T, q *redisqueue.RedisQueue, server *miniredis.Miniredis)
	}{
		"a reserve of the total": {reserve: 4},
		"a reserve above it":     {reserve: 10},
		"a total that was lowered": {reserve: 2, change: func(t *testing.T, q *redisqueue.RedisQueue, _ *miniredis.Miniredis) {
			require.NoError(t, q.Update(t.Context(), lowered))
		}},
		"less than nothing, by hand": {reserve: 4, change: func(_ *testing.T, _ *redisqueue.RedisQueue, server *miniredis.Miniredis) {
			_ = server.Set("identify:{default}:remaining", "-5") // without a TTL
		}},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				opts := []redisqueue.Option{redisqueue.WithFreshStart(), redisqueue.WithLimit(limit), redisqueue.WithReserve(tc.reserve)}
				hook := new(away)
				var far slowReplies // without it there would be no end of them in virtual time
				far.by.Store(int64(50 * time.Millisecond))
				client.AddHook(perCommand{hook})
				client.AddHook(perCommand{&far})
				queue, other := open(t, client, opts...), open(t, client, opts...)
				require.NoError(t, queue.Update(t.Context(), limit))
				if tc.change != nil {
					tc.change(t, queue, server)
				}
				for shard := range 5 {
					_ = ask(t.Context(), queue, shard)
					_ = ask(t.Context(), other, 5+shard)
				}
				for range 4 {
					before := hook.calls()
					time.Sleep(50 * time.Second)
					require.Less(t, hook.calls()-before, 200, "as often as beats and renewals are, and no more")
				}
			})
		})
	}
}

// A pod whose budget comes back has the short lease again, and permits to renew.
func TestAPermitThatIsGrantedAtTheResetIsRenewed(t *testing.T) {
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		for reset := 20 * time.Second; reset < 32*time.Second; reset += 3 * time.Second { // somewhere between two beats
			queue := open(t, client, redisqueue.WithApp(reset.String()), redisqueue.WithFreshStart(), redisqueue.WithReserve(0), redisqueue.WithLimit(
				gatewayqueue.SessionStartLimit{Total: 10, Remaining: 1, ResetAfter: reset, MaxConcurrency: 1}))
			require.NoError(t, queue.Wait(t.Context(), 0))
			permit, err := queue.Acquire(t.Context(), 1)
			require.NoError(t, err)
			time.Sleep(30 * time.Second) // a slow dial
			require.True(t, time.Now().Before(permit.Deadline()), "a reset after %v", reset)
			require.NoError(t, permit.Identified(t.Context()))
		}
	})
}

// A first waiter that is taken for dead takes its place again before another can
// use that.
func TestAFirstTicketThatHasLostItsPlaceTakesItBackAtTheNextBeat(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		other := open(t, client, fresh(1)...)
		paused := &pausing{Scripter: virtualClient(t, server)}
		slow := open(t, paused, fresh(1)...)
		require.NoError(t, slow.Wait(t.Context(), 0))
		first := ask(t.Context(), slow, 1)
		time.Sleep(100 * time.Millisecond)
		second := ask(t.Context(), other, 2)
		time.Sleep(100 * time.Millisecond)
		paused.pause(3500 * time.Millisecond) // longer than its lease, and shorter than the window
		time.Sleep(3500 * time.Millisecond)
		require.NoError(t, answered(t, first, 2*time.Second))
		waitsOn(t, second, 5*time.Second)
		require.NoError(t, <-second)
	})
}

// Where a fleet arrives, others take their places while a pod is told of its own.
func TestTheNextBeatAfterAnArrivalComesBeforeBucketsOpen(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		brief := fresh(2, redisqueue.WithWindow(time.Second))
		other := open(t, client, brief...)
		require.NoError(t, other.Wait(t.Context(), 0))
		require.NoError(t, other.Wait(t.Context(), 1))
		queue, hook := cutOff(t, server, brief...)
		for shard := range 4 {
			_ = ask(t.Context(), queue, 2+shard)
		}
		time.Sleep(100 * time.Millisecond)
		told := hook.calls()
		time.Sleep(500 * time.Millisecond)
		require.Greater(t, hook.calls(), told)
	})
}

// A bucket that opens early, because its permit was settled at another pod, does
// not wait for when it was to open.
func TestAFirstTicketHearsThatItsBucketHasOpened(t *testing.T) {
	within(t, func(t *testing.T, _ *miniredis.Miniredis, client *redis.Client) {
		queue, other := open(t, client, fresh(1)...), open(t, client, fresh(1)...)
		require.NoError(t, queue.Wait(t.Context(), 0))
		granting := make(chan gatewayqueue.Permit, 1)
		go func() {
			permit, _ := queue.Acquire(t.Context(), 1)
			granting <- permit
		}()
		synctest.Wait()
		next := ask(t.Context(), queue, 2)
		granted := <-granting
		record, err := queue.Export(granted)
		require.NoError(t, err)
		moved, err := other.Import(record)
		require.NoError(t, err)
		require.NoError(t, moved.Abandon(t.Context()))
		require.NoError(t, answered(t, next, 2*time.Second), "a beat")
	})
}

// The limit source may take longer than a permit is good for.
func TestPermitsAreRenewedWhileTheSourceIsAsked(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		var asked atomic.Int32
		queue := open(t, client, redisqueue.WithFreshStart(), redisqueue.WithLimitSource(
			func(context.Context) (gatewayqueue.SessionStartLimit, error) {
				if asked.Add(1) > 1 {
					time.Sleep(8 * time.Second)
				}
				return full(1), nil
			}))
		permit, err := queue.Acquire(t.Context(), 0)
		require.NoError(t, err)
		server.FlushAll()
		time.Sleep(9 * time.Second)
		require.EqualValues(t, 2, asked.Load(), "state was lost")
		require.True(t, time.Now().Before(permit.Deadline()))
		require.NoError(t, permit.Identified(t.Context()))
	})
}

// A shard that has to back off, and leaves before it hears so, takes nobody along.
func TestARestIsOfOneShardOnly(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		crashing := open(t, client, fresh(2, redisqueue.WithBackoff(1))...)
		for range 4 { // its backoffs grow: the next is 42 s
			require.NoError(t, crashing.Wait(t.Context(), 7))
		}
		time.Sleep(6 * time.Second)
		queue := open(t, slowAnswers{virtualClient(t, server), claimHash}, fresh(2, redisqueue.WithBackoff(1))...)
		ctx, leave := context.WithCancel(t.Context())
		backingOff, next := ask(ctx, queue, 7), ask(t.Context(), queue, 9)
		_ = ask(t.Context(), queue, 8) // with two lines they take their places by a beat
		time.Sleep(slowBy / 2)
		leave()
		require.ErrorIs(t, <-backingOff, context.Canceled)
		require.NoError(t, answered(t, next, 2*time.Second))
	})
}

// slowAnswers is a client to whom the answers to one script take their time.
type slowAnswers struct {
	redis.Scripter
	hash string
}

const slowBy = 80 * time.Millisecond

var claimHash, beatHash = redis.NewScript(lua.Claim.Source).Hash(), redis.NewScript(lua.Beat.Source).Hash()

func (s slowAnswers) EvalSha(ctx context.Context, hash string, keys []string, args ...any) *redis.Cmd {
	answer := s.Scripter.EvalSha(ctx, hash, keys, args...)
	if hash == s.hash {
		time.Sleep(slowBy)
	}
	return answer
}

// pausing is a client whose calls wait while it is paused.
type pausing struct {
	redis.Scripter
	mu  sync.Mutex
	end time.Time
}

func (p *pausing) pause(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end = time.Now().Add(d)
}

func (p *pausing) EvalSha(ctx context.Context, hash string, keys []string, args ...any) *redis.Cmd {
	p.mu.Lock()
	end := p.end
	p.mu.Unlock()
	time.Sleep(time.Until(end))
	return p.Scripter.EvalSha(ctx, hash, keys, args...)
}
