package redisqueue_test

// Pods whose options differ, as while a change is rolled out: whichever of them
// grants, after whatever loss, the longest that any of them needs is kept.

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// differing is an option that another pod has a longer, or shorter, value of.
type differing struct {
	name   string
	opts   []redisqueue.Option
	window time.Duration // the longest
	jitter time.Duration // how late a grant of Wait of that pod may be used
}

func differences() []differing {
	const window, margin = gatewayqueue.IdentifyDelay, gatewayqueue.GrantMargin
	return []differing{
		{"LongerWindow", []redisqueue.Option{redisqueue.WithWindow(8 * time.Second)}, 8 * time.Second, margin},
		{"ShorterWindow", []redisqueue.Option{redisqueue.WithWindow(time.Second)}, window, margin},
		{"ShorterWindowAndLongLease", []redisqueue.Option{redisqueue.WithWindow(time.Second), redisqueue.WithPermitLease(20 * time.Second)}, window, margin},
		{"LongerMargin", []redisqueue.Option{redisqueue.WithMargin(3 * time.Second)}, window, 3 * time.Second},
		{"ShorterMargin", []redisqueue.Option{redisqueue.WithMargin(0)}, window, 0},
		{"LongerPermitMargin", []redisqueue.Option{redisqueue.WithPermitMargin(3 * time.Second)}, window, margin},
		{"ShorterPermitMargin", []redisqueue.Option{redisqueue.WithPermitMargin(0)}, window, margin},
		{"LongerPermitLease", []redisqueue.Option{redisqueue.WithPermitLease(60 * time.Second)}, window, margin},
		{"ShorterPermitLease", []redisqueue.Option{redisqueue.WithPermitLease(6 * time.Second)}, window, margin},
		{"LongerPodLease", []redisqueue.Option{redisqueue.WithPodLease(30 * time.Second)}, window, margin},
		{"ShorterPodLease", []redisqueue.Option{redisqueue.WithPodLease(200 * time.Millisecond)}, window, margin},
	}
}

func TestOptionsThatDiffer_NoWindowIsBroken(t *testing.T) {
	unraced(t)
	t.Parallel()
	for _, d := range differences() {
		for _, permits := range []bool{false, true} {
			mode := map[bool]string{false: "Wait", true: "Acquire"}[permits]
			t.Run(d.name+"/"+mode, func(t *testing.T) {
				within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
					usual := open(t, client, fresh(1)...)
					other := open(t, virtualClient(t, server), fresh(1, d.opts...)...)
					for _, q := range []*redisqueue.RedisQueue{other, usual} { // both have been heard of
						require.NoError(t, q.Wait(t.Context(), 9))
					}
					time.Sleep(time.Minute)
					judge := gatewaytest.NewJudge(full(1), d.window)
					ctx, stop := context.WithCancel(t.Context())
					var all sync.WaitGroup
					for shard := range 6 {
						q, jitter := usual, gatewayqueue.GrantMargin
						if shard%2 == 1 {
							q, jitter = other, d.jitter
						}
						all.Go(func() { identifies(ctx, t, q, judge, shard, permits, jitter) })
					}
					time.Sleep(2 * time.Minute)
					require.NoError(t, other.Update(t.Context(), full(2)))
					judge.SetLimit(full(2))
					time.Sleep(2 * time.Minute)
					server.FlushAll()
					time.Sleep(3 * time.Minute)
					stop()
					all.Wait()
					v := judge.Verdict()
					require.Zero(t, v.Violations, "%v", v)
					require.Greater(t, v.Identifies, 40, "they are not held up: %v", v)
				})
			})
		}
	}
}

// identifies does so again and again, now at once and now as late as it may.
func identifies(ctx context.Context, t *testing.T, q *redisqueue.RedisQueue, judge *gatewaytest.Judge, shard int, permits bool, jitter time.Duration) {
	for n := 0; ; n++ {
		if !permits {
			if q.Wait(ctx, shard) != nil {
				return
			}
			time.Sleep(jitter * time.Duration(n%2))
			judge.Identify(shard)
			continue
		}
		permit, err := q.Acquire(ctx, shard)
		if err != nil {
			return
		}
		time.Sleep(time.Duration(n*n%7) * 700 * time.Millisecond)
		if time.Now().Before(permit.Deadline()) {
			judge.Identify(shard)
		}
		if err := permit.Identified(t.Context()); err != nil {
			t.Errorf("identified: %v", err)
		}
	}
}

// A pod with a long lease has a permit and loses touch with Redis, which loses
// its state: the other one must not grant before that permit has ended.
func TestOptionsThatDiffer_StateIsLost(t *testing.T) {
	unraced(t)
	t.Parallel()
	for _, d := range differences() {
		for _, first := range []string{"TheUsualPod", "TheOtherPod"} {
			t.Run(fmt.Sprintf("%s/%sHasAPermit", d.name, first), func(t *testing.T) {
				within(t, func(t *testing.T, server *miniredis.Miniredis, _ *redis.Client) {
					usual, usualLink := cutOff(t, server, fresh(1)...)
					other, otherLink := cutOff(t, server, fresh(1, d.opts...)...)
					holder, link, next := usual, usualLink, other
					if first == "TheOtherPod" {
						holder, link, next = other, otherLink, usual
					}
					for _, q := range []*redisqueue.RedisQueue{holder, next} {
						require.NoError(t, q.Wait(t.Context(), 1))
						time.Sleep(10 * time.Second)
					}
					permit, err := holder.Acquire(t.Context(), 0)
					require.NoError(t, err)
					time.Sleep(10 * time.Second) // it is renewed, and the other pod beats
					_ = ask(t.Context(), next, 2)
					time.Sleep(time.Second)
					link.set(context.DeadlineExceeded)
					server.FlushAll()
					require.NoError(t, next.Wait(t.Context(), 3))
					require.GreaterOrEqual(t, time.Since(permit.Deadline()), d.window, "the permit may have been used at its deadline")
				})
			})
		}
	}
}

func TestOptionsThatDiffer_TheLogSaysSoAndItEnds(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		log := newLogbook()
		usual := open(t, client, fresh(1, log.option())...)
		long := open(t, virtualClient(t, server), fresh(1, redisqueue.WithWindow(8*time.Second))...)
		require.NoError(t, long.Wait(t.Context(), 0))
		gap := func() time.Duration {
			require.NoError(t, usual.Wait(t.Context(), 0))
			began := time.Now()
			require.NoError(t, usual.Wait(t.Context(), 0))
			return time.Since(began)
		}
		require.GreaterOrEqual(t, gap(), 8*time.Second)
		require.Equal(t, 1, log.said("WARN other pods have a longer window"), log.all())
		require.NoError(t, long.Close())
		time.Sleep(6 * time.Minute)
		require.Less(t, gap(), 6*time.Second)
	})
}

// State is lost again while the hold for the first loss stands, as where an empty
// Redis crashes over and over: Redis knows nothing of the other pod any more.
func TestOptionsThatDiffer_StateIsLostTwice(t *testing.T) {
	unraced(t)
	t.Parallel()
	for _, d := range differences() {
		t.Run(d.name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				usual := open(t, client, fresh(1)...)
				other, link := cutOff(t, server, fresh(1, d.opts...)...)
				for _, q := range []*redisqueue.RedisQueue{other, usual} { // both have been heard of
					require.NoError(t, q.Wait(t.Context(), 1))
					time.Sleep(time.Minute)
				}
				permit, err := other.Acquire(t.Context(), 0)
				require.NoError(t, err)
				link.set(context.DeadlineExceeded)
				next := ask(t.Context(), usual, 2)
				for range 3 {
					server.FlushAll()
					time.Sleep(2 * time.Second)
				}
				require.NoError(t, <-next)
				require.GreaterOrEqual(t, time.Since(permit.Deadline()), d.window, "the permit may have been used at its deadline")
			})
		})
	}
}

// Where scripts are not told who the server is, an outage is all that shows that
// another one may answer. What that has missed may be of a pod with a longer lease.
func TestOptionsThatDiffer_AnOutage(t *testing.T) {
	unraced(t)
	t.Parallel()
	for _, d := range differences() {
		t.Run(d.name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, _ *redis.Client) {
				usual, usualLink := cutOff(t, server, fresh(1)...)
				other, otherLink := cutOff(t, server, fresh(1, d.opts...)...)
				for _, q := range []*redisqueue.RedisQueue{other, usual} { // both have been heard of
					require.NoError(t, q.Wait(t.Context(), 1))
					time.Sleep(time.Minute)
				}
				seq := server.HGet(at+"limits", "seq")
				permit, err := other.Acquire(t.Context(), 0)
				require.NoError(t, err)
				otherLink.set(context.DeadlineExceeded)
				usualLink.set(context.DeadlineExceeded)
				next := ask(t.Context(), usual, 2)
				time.Sleep(3 * time.Second)
				server.Del(at + "slot:0") // and so it has missed that
				server.Del(at + "opens")
				server.HSet(at+"limits", "seq", seq)
				usualLink.set(nil)
				require.NoError(t, <-next)
				require.GreaterOrEqual(t, time.Since(permit.Deadline()), d.window, "the permit may have been used at its deadline")
			})
		})
	}
}
