package redisqueue_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
	"github.com/gatewayqueue/gatewayqueue/lua"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

var identifiedHash = redis.NewScript(lua.Identified.Source).Hash()

func nothing(context.Context) error { return nil }

// A machine that is suspended in its dial, while another one has its bucket. A
// guest that is paused has no clock that shows it: only Redis can know.
func TestIdentify_AfterASuspensionInTheDial(t *testing.T) {
	for name, suspended := range map[string]time.Duration{"that its clocks tell of": 12 * time.Second, "of a guest, whose clocks stood still": 0} {
		for then, what := range map[string]func(context.Context, *redisqueue.RedisQueue, *miniredis.Miniredis) error{
			"another has identified": func(ctx context.Context, q *redisqueue.RedisQueue, _ *miniredis.Miniredis) error {
				return q.Wait(ctx, 1)
			},
			"another dials": func(ctx context.Context, q *redisqueue.RedisQueue, _ *miniredis.Miniredis) error {
				_, err := q.Acquire(ctx, 1)
				return err
			},
			"another's slot was deleted by hand": func(ctx context.Context, q *redisqueue.RedisQueue, server *miniredis.Miniredis) error {
				defer server.Del(at + "slot:0")
				return q.Wait(ctx, 1)
			},
		} {
			t.Run(name+", "+then, func(t *testing.T) {
				server := miniredis.RunT(t)
				clock := time.Now()
				server.SetTime(clock)
				pod := func() *redisqueue.RedisQueue {
					client := redis.NewClient(&redis.Options{Addr: server.Addr()})
					t.Cleanup(func() { require.NoError(t, client.Close()) })
					return open(t, client, redisqueue.WithFreshStart())
				}
				laptop, other := pod(), pod()
				err := gatewayqueue.Identify(t.Context(), laptop, 0, func(ctx context.Context) error {
					server.SetTime(clock.Add(12 * time.Second))
					server.FastForward(12 * time.Second)
					elapsed.Simulate(suspended, 0)
					return what(ctx, other, server)
				}, func(context.Context) error {
					assert.Fail(t, "IDENTIFY less than a window after that of the other pod")
					return nil
				})
				require.ErrorIs(t, err, gatewayqueue.ErrPermitExpired)
				status, err := other.Status(t.Context())
				require.NoError(t, err)
				require.Equal(t, 999, status.Budget.Remaining, "its unit has gone back")
			})
		}
	}
}

// The announcement is the report: a grant takes as many commands as before.
func TestIdentify_TakesNoCommandMore(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, _ *redis.Client) {
		hook, client := new(away), virtualClient(t, server)
		client.AddHook(perCommand{hook})
		q := open(t, client, fresh(1)...)
		require.NoError(t, gatewayqueue.Identify(t.Context(), q, 0, nothing, nothing)) // the server knows the scripts
		var before int
		require.NoError(t, gatewayqueue.Identify(t.Context(), q, 1,
			func(context.Context) error { before = hook.calls(); return nil }, nothing))
		require.Equal(t, 1, hook.calls()-before, "the announcement, and no report")
	})
}

// moments are when IDENTIFYs left.
type moments struct {
	mu sync.Mutex
	at []time.Time
}

func (m *moments) add(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = append(m.at, time.Now())
	return nil
}

// However long Redis takes to answer, and IDENTIFY to leave, two of them are a
// window apart, also where the second report does not come.
func TestIdentify_AWindowApart(t *testing.T) {
	for name, row := range map[string]struct {
		there, back, identify time.Duration
		margin                time.Duration
		calls                 int // of the report, for the second IDENTIFY of the pod
	}{
		"as a rule":               {margin: 50 * time.Millisecond, calls: 1},
		"Redis is some way off":   {there: 4 * time.Millisecond, back: 4 * time.Millisecond, margin: 50 * time.Millisecond, calls: 1},
		"Redis is far":            {there: 100 * time.Millisecond, back: 100 * time.Millisecond, margin: 50 * time.Millisecond, calls: 1},
		"answers are slow":        {back: 300 * time.Millisecond, margin: 50 * time.Millisecond, calls: 1},
		"no margin":               {there: time.Millisecond, back: time.Millisecond, calls: 1},
		"IDENTIFY takes its time": {identify: 700 * time.Millisecond, margin: 50 * time.Millisecond, calls: 2},
		"IDENTIFY takes its time, and Redis is far": {identify: 700 * time.Millisecond, there: 100 * time.Millisecond, back: 100 * time.Millisecond, margin: 50 * time.Millisecond, calls: 2},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				requests, replies, reports := new(slow), new(slowReplies), &count{hash: identifiedHash}
				far := virtualClient(t, server)
				far.AddHook(perCommand{requests})
				far.AddHook(perCommand{replies})
				far.AddHook(perCommand{reports})
				margin := redisqueue.WithPermitMargin(row.margin)
				q, other := open(t, far, fresh(1, margin)...), open(t, client, fresh(1, margin)...)
				var left moments
				bring := func(q *redisqueue.RedisQueue, shard int) {
					require.NoError(t, gatewayqueue.Identify(t.Context(), q, shard, nothing, func(ctx context.Context) error {
						time.Sleep(row.identify) // it leaves at the end
						return left.add(ctx)
					}))
				}
				require.NoError(t, other.Wait(t.Context(), 9))
				requests.by.Store(int64(row.there))
				replies.by.Store(int64(row.back))
				for shard := range 3 {
					reports.n.Store(0)
					bring(q, shard)
					if shard > 0 { // the first learns how far Redis is
						require.EqualValues(t, row.calls, reports.n.Load())
					}
					bring(other, shard)
				}
				for i := range left.at[1:] {
					require.GreaterOrEqual(t, left.at[i+1].Sub(left.at[i]), gatewayqueue.IdentifyDelay)
				}
				require.Len(t, left.at, 6)
			})
		})
	}
}

// count is a hook that counts the calls of one script.
type count struct {
	away
	hash string
	n    atomic.Int64
	lose atomic.Bool // what it was answered
	hold atomic.Int64
}

func (c *count) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		mine := len(cmd.Args()) > 1 && cmd.Args()[1] == c.hash
		if mine {
			c.n.Add(1)
			time.Sleep(time.Duration(c.hold.Load()))
		}
		err := next(ctx, cmd)
		if mine && c.lose.Load() {
			time.Sleep(3 * time.Second)
			err = errors.New("connection reset by peer")
			cmd.SetErr(err)
		}
		return err
	}
}

// An announcement without an answer may have been executed: its bucket opens a
// window later, so IDENTIFY must not leave at a moment that nobody hears of. What
// was paid goes back, also where the announcement is executed after that.
func TestIdentify_WithoutAnAnswerNothingIsSent(t *testing.T) {
	for name, prepare := range map[string]func(*count){
		"the answer is lost":           func(c *count) { c.lose.Store(true) },
		"it is executed much later":    func(c *count) { c.hold.Store(int64(20 * time.Second)) },
		"it is executed a little late": func(c *count) { c.hold.Store(int64(1100 * time.Millisecond)) },
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				hook, lossy := &count{hash: identifiedHash}, virtualClient(t, server)
				lossy.AddHook(perCommand{hook})
				q, other := open(t, lossy, fresh(1)...), open(t, client, fresh(1)...)
				prepare(hook)
				start := time.Now()
				err := gatewayqueue.Identify(t.Context(), q, 0, nothing, func(context.Context) error {
					assert.Fail(t, "IDENTIFY though Redis did not answer")
					return nil
				})
				require.ErrorIs(t, err, gatewayqueue.ErrPermitExpired)
				require.Less(t, time.Since(start), 2*time.Second, "it is bounded")
				hook.lose.Store(false)
				hook.hold.Store(0)
				time.Sleep(25 * time.Second) // all that was under way is over
				status, err := other.Status(t.Context())
				require.NoError(t, err)
				require.Equal(t, 1000, status.Budget.Remaining, "its unit has gone back")
				require.Zero(t, status.Buckets[0].Closed)
				require.NoError(t, gatewayqueue.Identify(t.Context(), q, 1, nothing, nothing))
			})
		})
	}
}

// While Redis is known to be away a permit is good up to its Deadline: its lease
// in Redis, which nothing shortens, covers the window.
func TestIdentify_WhileRedisIsAway(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		hook, cut := new(away), virtualClient(t, server)
		cut.AddHook(perCommand{hook})
		q, other := open(t, cut, fresh(1)...), open(t, client, fresh(1)...)
		var left moments
		require.NoError(t, gatewayqueue.Identify(t.Context(), q, 0, func(context.Context) error {
			hook.set(errors.New("dial tcp: connection refused"))
			time.Sleep(3 * time.Second)
			return nil
		}, func(ctx context.Context) error {
			time.AfterFunc(30*time.Second, func() { hook.set(nil) })
			return left.add(ctx)
		}))
		require.NoError(t, gatewayqueue.Identify(t.Context(), other, 1, nothing, left.add))
		require.GreaterOrEqual(t, left.at[1].Sub(left.at[0]), gatewayqueue.IdentifyDelay)
		time.Sleep(30 * time.Second)
	})
}

// What a caller does in between: each permit is settled once, and its event seen.
func TestAnnounce_IsSettledOnce(t *testing.T) {
	boom := errors.New("boom")
	for name, row := range map[string]struct {
		do        func(context.Context, *redisqueue.RedisQueue, *atomic.Int64) error
		want      error
		remaining int
		kind      gatewayqueue.EventKind
	}{
		"identify fails": {func(ctx context.Context, q *redisqueue.RedisQueue, _ *atomic.Int64) error {
			return gatewayqueue.Identify(ctx, q, 0, nothing, func(context.Context) error { return boom })
		}, boom, 999, gatewayqueue.EventIdentified},
		"identify panics": {func(ctx context.Context, q *redisqueue.RedisQueue, _ *atomic.Int64) (err error) {
			defer func() { err, _ = recover().(error) }()
			return gatewayqueue.Identify(ctx, q, 0, nothing, func(context.Context) error { panic(boom) })
		}, boom, 999, gatewayqueue.EventIdentified},
		"dial panics": {func(ctx context.Context, q *redisqueue.RedisQueue, _ *atomic.Int64) (err error) {
			defer func() { err, _ = recover().(error) }()
			return gatewayqueue.Identify(ctx, q, 0, func(context.Context) error { panic(boom) }, nothing)
		}, boom, 1000, gatewayqueue.EventAbandoned},
		"the queue is closed in the dial": {func(ctx context.Context, q *redisqueue.RedisQueue, _ *atomic.Int64) error {
			return gatewayqueue.Identify(ctx, q, 0, func(context.Context) error { return q.Close() }, nothing)
		}, nil, 999, gatewayqueue.EventIdentified},
		"the context ends in the dial": {func(ctx context.Context, q *redisqueue.RedisQueue, _ *atomic.Int64) error {
			ctx, cancel := context.WithCancel(ctx)
			return gatewayqueue.Identify(ctx, q, 0, func(context.Context) error { cancel(); return nil }, nothing)
		}, context.Canceled, 1000, gatewayqueue.EventAbandoned},
		"the context ends in the announcement": {func(ctx context.Context, q *redisqueue.RedisQueue, hold *atomic.Int64) error {
			ctx, cancel := context.WithCancel(ctx)
			return gatewayqueue.Identify(ctx, q, 0, func(context.Context) error {
				hold.Store(int64(500 * time.Millisecond))
				time.AfterFunc(100*time.Millisecond, cancel)
				return nil
			}, nothing)
		}, context.Canceled, 1000, gatewayqueue.EventAbandoned},
		"it is announced and abandoned": {func(ctx context.Context, q *redisqueue.RedisQueue, _ *atomic.Int64) error {
			p, err := q.Acquire(ctx, 0)
			return errors.Join(err, gatewayqueue.Announce(ctx, p), p.Abandon(ctx), p.Identified(ctx), p.Abandon(ctx))
		}, nil, 1000, gatewayqueue.EventAbandoned},
		"it is announced after it was abandoned": {func(ctx context.Context, q *redisqueue.RedisQueue, _ *atomic.Int64) error {
			p, err := q.Acquire(ctx, 0)
			return errors.Join(err, p.Abandon(ctx), gatewayqueue.Announce(ctx, p))
		}, gatewayqueue.ErrPermitSettled, 1000, gatewayqueue.EventAbandoned},
		"it is announced twice, and reported twice": {func(ctx context.Context, q *redisqueue.RedisQueue, _ *atomic.Int64) error {
			p, err := q.Acquire(ctx, 0)
			return errors.Join(err, gatewayqueue.Announce(ctx, p), gatewayqueue.Announce(ctx, p), p.Identified(ctx), p.Identified(ctx))
		}, nil, 999, gatewayqueue.EventIdentified},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				hook, held := &count{hash: identifiedHash}, virtualClient(t, server)
				held.AddHook(perCommand{hook})
				var mu sync.Mutex
				var ends []gatewayqueue.EventKind
				q := open(t, held, fresh(1, redisqueue.WithObserver(func(e gatewayqueue.Event) {
					mu.Lock()
					defer mu.Unlock()
					switch e.Kind {
					case gatewayqueue.EventIdentified, gatewayqueue.EventAbandoned, gatewayqueue.EventExpired:
						ends = append(ends, e.Kind)
					}
				}))...)
				err := row.do(t.Context(), q, &hook.hold)
				if row.want == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, row.want)
				}
				time.Sleep(20 * time.Second) // what was under way is over, and nothing is renewed
				status, err := open(t, client).Status(t.Context())
				require.NoError(t, err)
				require.Equal(t, row.remaining, status.Budget.Remaining)
				require.Zero(t, status.Buckets[0].Closed)
				mu.Lock()
				defer mu.Unlock()
				require.Equal(t, []gatewayqueue.EventKind{row.kind}, ends)
			})
		})
	}
}
