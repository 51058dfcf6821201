package redisqueue_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// historians are pods that record, on one virtual Redis.
func historians(t *testing.T, n int, more ...redisqueue.Option) []*redisqueue.RedisQueue {
	t.Helper()
	server := virtualRedis(t)
	pods := make([]*redisqueue.RedisQueue, n)
	for i := range pods {
		options := append([]redisqueue.Option{redisqueue.WithLimit(full(1)), redisqueue.WithFreshStart(), redisqueue.WithHistory()}, more...)
		pods[i] = open(t, virtualClient(t, server), options...)
	}
	return pods
}

func historyOf(t *testing.T, q *redisqueue.RedisQueue) []gatewayqueue.Minute {
	t.Helper()
	minutes, err := q.History(t.Context())
	require.NoError(t, err)
	return minutes
}

// overTheMinute sleeps until every pod has told the minute that goes on.
func overTheMinute() {
	time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute + 6*time.Second)))
}

func TestHistory_IsOfAllPods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pods := historians(t, 2)
		began := time.Now().Truncate(time.Minute)
		require.Empty(t, historyOf(t, pods[0]))
		first, second := ask(t.Context(), pods[0], 0), ask(t.Context(), pods[1], 1) // the second waits for 5.25 s
		require.NoError(t, <-first)
		require.NoError(t, <-second)
		permit, err := pods[1].Acquire(t.Context(), 2)
		require.NoError(t, err)
		require.NoError(t, permit.Abandon(t.Context()))
		require.Empty(t, historyOf(t, pods[0]), "the minute is not over")
		overTheMinute()
		minutes := historyOf(t, pods[0])
		require.Len(t, minutes, 1)
		m := minutes[0]
		assert.True(t, m.Start.Equal(began), "%v", m.Start)
		assert.Equal(t, 3, m.Granted)
		assert.Equal(t, 1, m.Returned)
		assert.Equal(t, 998, m.Remaining)
		assert.Equal(t, 1000, m.Total)
		assert.False(t, m.Unknown)
		assert.InEpsilon(t, 5250*time.Millisecond, m.P99, 0.123)
		assert.Equal(t, 3, m.Waits.Count())
		assert.Equal(t, minutes, historyOf(t, pods[1]), "each of them sees the same")
	})
}

// records counts the calls that tell the history.
type records struct{ n atomic.Int64 }

func (r *records) DialHook(next redis.DialHook) redis.DialHook { return next }
func (r *records) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (r *records) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	hash := redis.NewScript(lua.Record.Source).Hash()
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); args[0] == "evalsha" && args[1] == hash {
			r.n.Add(1)
		}
		return next(ctx, cmd)
	}
}

func TestHistory_IsOneCallAMinuteForAPodThatGrants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := virtualRedis(t)
		var calls records
		client := virtualClient(t, server)
		client.AddHook(perCommand{&calls})
		for _, options := range [][]redisqueue.Option{{redisqueue.WithHistory()}, nil} {
			q := open(t, client, append(options, redisqueue.WithFreshStart(), redisqueue.WithLimit(full(1)))...)
			calls.n.Store(0)
			want := int64(len(options))
			for shard := range 3 {
				require.NoError(t, q.Wait(t.Context(), shard))
			}
			assert.Zero(t, calls.n.Load(), "no grant takes a call")
			overTheMinute()
			assert.Equal(t, want, calls.n.Load(), "a minute takes one")
			time.Sleep(10 * time.Minute)
			assert.Equal(t, want, calls.n.Load(), "and those in which nothing is granted none")
			require.NoError(t, q.Wait(t.Context(), 3))
			require.NoError(t, q.Close())
			assert.Equal(t, 2*want, calls.n.Load(), "nor does Close wait for the minute's end")
		}
	})
}

func TestHistory_GoesOnWithAPodThatStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := virtualRedis(t)
		pod := func() *redisqueue.RedisQueue {
			return open(t, virtualClient(t, server), redisqueue.WithPod("web-1"), redisqueue.WithLimit(full(1)), redisqueue.WithFreshStart(), redisqueue.WithHistory())
		}
		q := pod()
		require.NoError(t, q.Wait(t.Context(), 0))
		require.NoError(t, q.Close()) // which tells the minute, though it goes on
		q = pod()
		require.NoError(t, q.Wait(t.Context(), 0))
		overTheMinute()
		minutes := historyOf(t, q)
		require.Len(t, minutes, 1)
		assert.Equal(t, 2, minutes[0].Granted, "one before the restart, and one after it, in the same minute")
	})
}

func TestHistory_ForgetsWhatIsADayOldAndAllOfAnIdleQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		unraced(t)
		server := virtualRedis(t)
		q := open(t, virtualClient(t, server), redisqueue.WithLimit(full(1)), redisqueue.WithFreshStart(), redisqueue.WithHistory())
		grant := func(shard int) { require.NoError(t, q.Wait(t.Context(), shard)) }
		grant(0)
		overTheMinute()
		first := historyOf(t, q)[0].Start
		time.Sleep(time.Until(first.Add(gatewayqueue.HistoryMinutes*time.Minute + 10*time.Second)))
		require.Len(t, historyOf(t, q), 1, "it is the oldest of the 1440 that are over")
		grant(1)
		overTheMinute()
		minutes := historyOf(t, q)
		require.Len(t, minutes, 1, "the 1441st minute drops the first")
		assert.True(t, minutes[0].Start.Equal(first.Add(gatewayqueue.HistoryMinutes*time.Minute)))
		time.Sleep(26 * time.Hour)
		assert.False(t, server.Exists("identify:{default}:history"))
	})
}

func TestHistory_FailsWithoutTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, book := virtualRedis(t), newLogbook()
		require.NoError(t, server.Set("identify:{default}:history", "no hash"))
		q := open(t, virtualClient(t, server), redisqueue.WithLimit(full(1)), redisqueue.WithFreshStart(), redisqueue.WithHistory(), book.option())
		for shard := range 3 {
			require.NoError(t, q.Wait(t.Context(), shard))
			overTheMinute()
		}
		assert.Equal(t, 1, book.said("could not record the history"), "%v", book.all())
		assert.Equal(t, 1, book.said("history"), "%v", book.all())
		_, err := q.History(t.Context())
		require.ErrorContains(t, err, "WRONGTYPE")
		server.Del("identify:{default}:history")
		time.Sleep(time.Minute)
		minutes := historyOf(t, q)
		require.Len(t, minutes, 3, "what could not be told was told later")
		assert.True(t, minutes[0].Unknown, "what was left then nobody knows")
		assert.False(t, minutes[2].Unknown)
		require.NoError(t, q.Close())
		_, err = q.History(t.Context())
		require.ErrorIs(t, err, gatewayqueue.ErrClosed)
	})
}

func TestHistory_OfAnOutageCountsEachGrantOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := virtualRedis(t)
		var link away
		client := virtualClient(t, server)
		client.AddHook(perCommand{&link})
		q := open(t, client, redisqueue.WithLimit(full(1)), redisqueue.WithFreshStart(), redisqueue.WithHistory())
		require.NoError(t, q.Wait(t.Context(), 0))
		link.set(errors.New("connection refused"))
		time.Sleep(3 * time.Minute)
		link.set(nil)
		time.Sleep(90 * time.Second)
		minutes := historyOf(t, q)
		require.Len(t, minutes, 1)
		assert.Equal(t, 1, minutes[0].Granted)

		// An outage that is longer than minutes are kept for: what was granted before it is lost.
		require.NoError(t, q.Wait(t.Context(), 1))
		link.set(errors.New("connection refused"))
		time.Sleep(10 * time.Minute)
		calls := link.calls()
		time.Sleep(10 * time.Minute)
		assert.Equal(t, calls, link.calls(), "it tries no more")
		link.set(nil)
		time.Sleep(2 * time.Minute)
		assert.Equal(t, minutes, historyOf(t, q))
	})
}

// What pods tell adds up to the quantiles of all their waits, within the error that
// gatewayqueue.Waits states; whatever they are, and in whichever minute.
func TestHistory_IsAsExactAsItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pods := historians(t, 5)
		rng := rand.New(rand.NewPCG(1, 2))
		exact := make(map[int64][]time.Duration)
		overTheMinute()
		for range 30 {
			for range rng.IntN(60) {
				wait := time.Duration(math.Exp(rng.Float64() * math.Log(float64(20*time.Hour))))
				redisqueue.Observe(pods[rng.IntN(len(pods))], gatewayqueue.Event{Kind: gatewayqueue.EventGranted, Elapsed: wait})
				minute := time.Now().Unix() / 60
				exact[minute] = append(exact[minute], wait)
				time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
			}
			time.Sleep(time.Duration(rng.IntN(100)) * time.Second)
		}
		overTheMinute()
		minutes := historyOf(t, pods[0])
		require.Len(t, minutes, len(exact))
		for _, m := range minutes {
			all := exact[m.Start.Unix()/60]
			slices.Sort(all)
			require.Equal(t, len(all), m.Granted, m.Start)
			at := func(part float64) time.Duration { return all[int(math.Ceil(part*float64(len(all))))-1] }
			assert.InEpsilon(t, max(at(0.5), time.Millisecond), m.P50, 0.123)
			assert.InEpsilon(t, max(at(0.99), time.Millisecond), m.P99, 0.123)
		}
	})
}
