package redisqueue_test

// Places and permits that travel between pods.

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// twoPods are two pods on one virtual Redis.
func twoPods(t *testing.T, maxConcurrency int) (a, b *redisqueue.RedisQueue) {
	t.Helper()
	server := virtualRedis(t)
	pods := make([]*redisqueue.RedisQueue, 2)
	for i := range pods {
		pods[i] = open(t, virtualClient(t, server), redisqueue.WithLimit(full(maxConcurrency)), redisqueue.WithFreshStart())
	}
	return pods[0], pods[1]
}

// renew renews an imported permit.
func renew(t *testing.T, imported gatewayqueue.Permit) error {
	t.Helper()
	return imported.(interface{ Renew(context.Context) error }).Renew(t.Context())
}

func TestACallerThatComesBackAtAnotherPodHasItsPlaceAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoPods(t, 1)
		require.NoError(t, a.Wait(t.Context(), 0))
		var since time.Time
		err := a.WaitSince(t.Context(), 1, time.Time{}, func(at time.Time) bool { since = at; return false })
		require.Error(t, err, "it left once it knew its place")
		require.NotErrorIs(t, err, context.Canceled)
		require.False(t, since.IsZero())
		time.Sleep(time.Second)
		later := ask(t.Context(), a, 2)
		synctest.Wait()
		status, err := b.Status(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, status.Waiting(), "the one that left costs nothing")
		var again time.Time
		require.NoError(t, b.WaitSince(t.Context(), 1, since, func(at time.Time) bool { again = at; return true }))
		assert.Equal(t, since.UnixMilli(), again.UnixMilli())
		select {
		case <-later: //nolint:errcheck // any end is too soon
			t.Error("shard 2 came later and was granted first")
		default:
		}
		require.NoError(t, <-later)
	})
}

func TestAPlaceIsNotToldWhereTheGrantComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := twoPods(t, 1)
		permit, err := a.AcquireSince(t.Context(), 0, time.Time{}, func(time.Time) bool {
			t.Error("it was told its place")
			return false
		})
		require.NoError(t, err)
		require.NoError(t, permit.Abandon(t.Context()))
	})
}

// Its first poll would end without a ticket otherwise, and its place be lost.
func TestAPlaceIsToldThoughAnotherHasComeBefore(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		other := open(t, client, fresh(2)...)
		require.NoError(t, other.Wait(t.Context(), 0))
		require.NoError(t, other.Wait(t.Context(), 1))
		early := time.Now()
		time.Sleep(time.Second)
		queue := open(t, slowAnswers{virtualClient(t, server), beatHash}, fresh(2)...)
		told := make(chan time.Time, 1)
		go func() {
			_ = queue.WaitSince(t.Context(), 2, time.Time{}, func(since time.Time) bool { told <- since; return true })
		}()
		_ = ask(t.Context(), queue, 3) // with two lines they take their places by a beat
		time.Sleep(slowBy / 2)
		for shard := 4; shard < 6; shard++ {
			go func() { _ = queue.WaitSince(t.Context(), shard, early, func(time.Time) bool { return true }) }()
		}
		select {
		case <-told:
		case <-time.After(time.Second):
			t.Error("it was not told its place")
		}
	})
}

// How old a permit is, Redis's clock says: those of servers may be far apart.
func TestAPermitIsRenewedWhereThePodsClockIsAhead(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		server.SetTime(time.Now().Add(-10 * time.Minute))
		queue := open(t, client, fresh(1)...)
		permit, err := queue.Acquire(t.Context(), 0)
		require.NoError(t, err)
		record, err := queue.Export(permit)
		require.NoError(t, err)
		imported, err := queue.Import(record)
		require.NoError(t, err)
		require.NoError(t, renew(t, imported))
		require.Greater(t, time.Until(imported.Deadline()), 4*time.Second)
	})
}

func TestAPermitIsRenewedAndSettledAtAnotherPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoPods(t, 1)
		permit, err := a.Acquire(t.Context(), 0)
		require.NoError(t, err)
		record, err := a.Export(permit)
		require.NoError(t, err)
		imported, err := b.Import(record)
		require.NoError(t, err)
		next := ask(t.Context(), a, 1)
		for range 20 {
			time.Sleep(2 * time.Second)
			require.NoError(t, renew(t, imported))
			require.Greater(t, time.Until(imported.Deadline()), 4*time.Second)
		}
		start := time.Now()
		require.NoError(t, imported.Identified(t.Context()))
		require.NoError(t, <-next)
		assert.GreaterOrEqual(t, time.Since(start), gatewayqueue.IdentifyDelay)
		assert.Less(t, time.Since(start), gatewayqueue.IdentifyDelay+time.Second)
		again, err := a.Import(record)
		require.NoError(t, err)
		require.ErrorIs(t, renew(t, again), gatewayqueue.ErrPermitExpired)
	})
}

func TestAnExportedPermitThatNobodyRenewsEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoPods(t, 1)
		permit, err := a.Acquire(t.Context(), 0)
		require.NoError(t, err)
		_, err = a.Export(permit)
		require.NoError(t, err)
		start := time.Now()
		require.NoError(t, b.Wait(t.Context(), 1))
		assert.InDelta(t, 2*gatewayqueue.IdentifyDelay.Seconds(), time.Since(start).Seconds(), 0.1, "its lease is two windows")
	})
}

func TestAnExportedPermitIsAbandonedAtAnotherPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := twoPods(t, 1)
		permit, err := a.Acquire(t.Context(), 0)
		require.NoError(t, err)
		record, err := a.Export(permit)
		require.NoError(t, err)
		imported, err := b.Import(record)
		require.NoError(t, err)
		require.NoError(t, imported.Abandon(t.Context()))
		start := time.Now()
		require.NoError(t, a.Wait(t.Context(), 1))
		assert.Less(t, time.Since(start), time.Second)
		status, err := a.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 999, status.Budget.Remaining)
	})
}

func TestAPermitIsNotRenewedBeyondItsBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := twoPods(t, 1)
		permit, err := a.Acquire(t.Context(), 0)
		require.NoError(t, err)
		granted := time.Now()
		record, err := a.Export(permit)
		require.NoError(t, err)
		imported, err := a.Import(record)
		require.NoError(t, err)
		for err == nil {
			time.Sleep(2 * time.Second)
			err = renew(t, imported)
			require.LessOrEqual(t, imported.Deadline().Sub(granted), gatewayqueue.MaxPermitDuration+5*time.Millisecond)
		}
		require.ErrorIs(t, err, gatewayqueue.ErrPermitExpired)
		assert.Equal(t, gatewayqueue.MaxPermitDuration, time.Since(granted).Round(2*time.Second))
	})
}

func TestARecordThatIsNoneIsRefused(t *testing.T) {
	a, b := open(t, redis.NewClient(&redis.Options{})), open(t, redis.NewClient(&redis.Options{}))
	for _, record := range []string{
		"", "x", "00001@pod#1 0 1", "1@pod#1 0 1 5", "00001@pod#1 1 1 5", "00001@pod#1 0 0 5",
		"00001@pod#1 0 1 -5", "00001@pod#1 0 1 5 6", "00001@pod#1 1 5000 5",
	} {
		_, err := a.Import(record)
		require.ErrorIs(t, err, gatewayqueue.ErrInvalid, "%q", record)
	}
	permit, err := b.Import("00001@pod#1 1 2 5")
	require.NoError(t, err)
	_, err = a.Export(permit)
	require.ErrorIs(t, err, gatewayqueue.ErrInvalid, "a permit of another queue")
	_, err = a.Export(nil)
	require.ErrorIs(t, err, gatewayqueue.ErrInvalid)
}

// keysRead counts the keys of the scripts that a client sends.
type keysRead struct{ keys []any }

func (*keysRead) DialHook(next redis.DialHook) redis.DialHook { return next }

func (*keysRead) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (k *keysRead) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); len(args) > 2 && args[0] == "evalsha" {
			k.keys = append(k.keys, args[2])
		}
		return next(ctx, cmd)
	}
}

// However many buckets there are.
func TestHowAPermitStandsIsOneKey(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(t *testing.T, b gatewayqueue.Permit)
		held bool
	}{
		"open": {func(*testing.T, gatewayqueue.Permit) {}, true},
		"renewed": {func(t *testing.T, b gatewayqueue.Permit) {
			time.Sleep(3 * time.Second)
			require.NoError(t, renew(t, b))
		}, true},
		"identified": {func(t *testing.T, b gatewayqueue.Permit) { require.NoError(t, b.Identified(t.Context())) }, false},
		"given back": {func(t *testing.T, b gatewayqueue.Permit) { require.NoError(t, b.Abandon(t.Context())) }, false},
		"lapsed":     {func(*testing.T, gatewayqueue.Permit) { time.Sleep(10 * time.Second) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := virtualRedis(t)
				a := open(t, virtualClient(t, server), redisqueue.WithLimit(full(64)), redisqueue.WithFreshStart())
				granted, err := a.Acquire(t.Context(), 3)
				require.NoError(t, err)
				record, err := a.Export(granted)
				require.NoError(t, err)
				client, sent := virtualClient(t, server), &keysRead{}
				b := open(t, client)
				imported, err := b.Import(record)
				require.NoError(t, err)
				c.end(t, imported)
				looked := imported.(interface {
					Held(context.Context) (time.Duration, error)
				})
				_, err = looked.Held(t.Context()) // the server learns the script
				require.NoError(t, err)
				client.AddHook(perCommand{sent})
				held, err := looked.Held(t.Context())
				require.NoError(t, err)
				assert.Equal(t, c.held, held > 0, "%v", held)
				assert.LessOrEqual(t, held, 10*time.Second)
				assert.Equal(t, []any{1}, sent.keys)
			})
		})
	}
}
