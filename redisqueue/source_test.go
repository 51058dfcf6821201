package redisqueue_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// discord is a limit source that counts its calls.
type discord struct {
	calls, running, most atomic.Int64
	limit                atomic.Pointer[gatewayqueue.SessionStartLimit]
	err                  atomic.Pointer[error]
}

func (d *discord) set(total, remaining, mc int, reset time.Duration) {
	d.limit.Store(&gatewayqueue.SessionStartLimit{Total: total, Remaining: remaining, MaxConcurrency: mc, ResetAfter: reset})
}

func (d *discord) ask(ctx context.Context) (gatewayqueue.SessionStartLimit, error) {
	d.calls.Add(1)
	d.most.Store(max(d.most.Load(), d.running.Add(1)))
	defer d.running.Add(-1)
	select {
	case <-time.After(300 * time.Millisecond):
	case <-ctx.Done():
		return gatewayqueue.SessionStartLimit{}, ctx.Err()
	}
	if err := d.err.Load(); err != nil && *err != nil {
		return gatewayqueue.SessionStartLimit{}, *err
	}
	return *d.limit.Load(), nil
}

func TestOnePodAsksTheSourceForAll(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, _ *redis.Client) {
		var d discord
		d.set(1000, 1000, 4, 0)
		var waiters []<-chan error
		for pod := range 10 {
			q := open(t, virtualClient(t, server), redisqueue.WithLimitSource(d.ask), redisqueue.WithFreshStart())
			for shard := range 4 {
				waiters = append(waiters, ask(t.Context(), q, 4*pod+shard))
			}
		}
		for _, waiter := range waiters {
			require.NoError(t, answered(t, waiter, time.Minute))
		}
		require.EqualValues(t, 1, d.calls.Load())
	})
}

func TestTheSourceIsAskedAgainByOnePodWhileShardsWait(t *testing.T) {
	unraced(t)
	t.Parallel()
	within(t, func(t *testing.T, server *miniredis.Miniredis, _ *redis.Client) {
		var d discord
		d.set(1000, 1000, 1, 0)
		for pod := range 5 {
			q := open(t, virtualClient(t, server), redisqueue.WithLimitSource(d.ask), redisqueue.WithFreshStart(), redisqueue.WithRefresh(time.Minute))
			for shard := range 50 {
				_ = ask(t.Context(), q, 50*pod+shard)
			}
		}
		time.Sleep(10*time.Minute + 30*time.Second)
		require.InDelta(t, 11, d.calls.Load(), 1)
		require.EqualValues(t, 1, d.most.Load(), "one at a time")
	})
}

func TestASourceThatFailsIsWaitedFor(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		var d discord
		d.set(1000, 1000, 1, 0)
		down := errors.New("Discord is down")
		d.err.Store(&down)
		log := newLogbook()
		q := open(t, client, redisqueue.WithLimitSource(d.ask), redisqueue.WithFreshStart(), log.option())
		waiter := ask(t.Context(), q, 0)
		waitsOn(t, waiter, time.Minute)
		require.Equal(t, 1, log.said("the limit source failed"), log.all())
		require.Zero(t, log.said("the limit source answers again"))
		require.Greater(t, d.calls.Load(), int64(4), "it is asked again")
		var none error
		d.err.Store(&none)
		require.NoError(t, answered(t, waiter, 15*time.Second))

		time.Sleep(time.Minute)
		server.FlushAll()
		d.err.Store(&down)
		waiter = ask(t.Context(), q, 0)
		waitsOn(t, waiter, time.Minute)
		require.Equal(t, 2, log.said("the limit source failed"), log.all())
		d.err.Store(&none)
		require.NoError(t, answered(t, waiter, 25*time.Second))
		synctest.Wait()
		require.Equal(t, 2, log.said("the limit source answers again"), log.all())
	})
}

func TestASourceThatAnswersNonsenseIsNotBelieved(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		var d discord
		d.set(0, 0, 0, 0)
		q := open(t, client, redisqueue.WithLimitSource(d.ask), redisqueue.WithFreshStart())
		waiter := ask(t.Context(), q, 0)
		waitsOn(t, waiter, 30*time.Second)
		d.set(1000, 1000, 1, 0)
		require.NoError(t, answered(t, waiter, 15*time.Second))
	})
}

func TestARefreshLowersTheBudgetAndRaisesItInANewPeriodOnly(t *testing.T) {
	unraced(t)
	t.Parallel()
	within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
		var d discord
		d.set(1000, 500, 1, 2*time.Hour)
		q := open(t, client, redisqueue.WithLimitSource(d.ask), redisqueue.WithFreshStart(), redisqueue.WithRefresh(30*time.Second), redisqueue.WithReserve(0))
		left := func() int {
			status, err := q.Status(t.Context())
			require.NoError(t, err)
			return status.Budget.Remaining
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() {
			for shard := 0; q.Wait(ctx, shard) == nil; shard++ { // no shard too often
			}
		}()
		time.Sleep(20 * time.Second)
		require.InDelta(t, 496, left(), 2)
		d.set(1000, 100, 1, 2*time.Hour) // another program of the same bot
		time.Sleep(40 * time.Second)
		require.InDelta(t, 97, left(), 4)
		d.set(1000, 900, 1, 2*time.Hour) // stale figures
		time.Sleep(40 * time.Second)
		require.Less(t, left(), 97)
		time.Sleep(11 * time.Minute)
		require.Zero(t, left(), "all are spent")
		d.set(1000, 1000, 1, 0)
		time.Sleep(2 * time.Hour)
		require.Positive(t, left(), "a new period")
		cancel()
		synctest.Wait()
	})
}

func TestDiscordLimitsReadsWhatDiscordSends(t *testing.T) {
	var token, path string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, path = r.Header.Get("Authorization"), r.URL.Path
		_, _ = w.Write([]byte(`{"url":"wss://gateway.discord.gg","shards":9,"session_start_limit":{"total":1000,"remaining":999,"reset_after":14400000,"max_concurrency":1}}`))
	}))
	defer server.Close()
	for _, given := range []string{"sekret.bot-token", "Bot sekret.bot-token"} {
		limit, err := redisqueue.DiscordLimitsAt(server.URL+"/", nil, given)(t.Context())
		require.NoError(t, err)
		require.Equal(t, gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 999, ResetAfter: 4 * time.Hour, MaxConcurrency: 1}, limit)
		require.Equal(t, "Bot sekret.bot-token", token)
		require.Equal(t, "/gateway/bot", path)
	}
}

func TestDiscordLimits_AbsentFigureIsRefused(t *testing.T) {
	for limit, want := range map[string]string{
		`{}`:   "total is missing: want 0 or more",
		`null`: "the answer has no session_start_limit",
		`{"remaining":9,"reset_after":5,"max_concurrency":1}`:              "total is missing: want 0 or more",
		`{"total":9,"reset_after":5,"max_concurrency":1}`:                  "remaining is missing: want 0 or more",
		`{"total":9,"remaining":9,"max_concurrency":1}`:                    "reset_after is missing: want milliseconds, 0 or more",
		`{"total":9,"remaining":9,"reset_after":5}`:                        "max_concurrency is missing: want 1 to 65536",
		`{"total":9,"remaining":9,"reset_after":5,"max_concurrency":null}`: "max_concurrency is missing: want 1 to 65536",
		`{"total":9,"remaining":9,"reset_after":5,"max_concurrency":0}`:    "max_concurrency is 0: want 1 to 65536",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"session_start_limit":` + limit + `}`))
		}))
		got, err := redisqueue.DiscordLimitsAt(server.URL, nil, "token")(t.Context())
		server.Close()
		require.ErrorContains(t, err, want, limit)
		require.Zero(t, got)
	}
}

func TestDiscordLimitsSaysWhatWentWrongWithoutTheToken(t *testing.T) {
	const token = "sekret.bot-token"
	for _, c := range []struct {
		status int
		body   string
		want   string
	}{
		{401, `{"message": "401: Unauthorized", "code": 0}`, "redisqueue: GET /gateway/bot: 401: Discord refuses the bot token"},
		{429, `{"retry_after": 2.5}`, "redisqueue: GET /gateway/bot: 429: rate limited for 3 s"},
		{500, "", "redisqueue: GET /gateway/bot: 500 Internal Server Error"},
		{200, "{", "redisqueue: GET /gateway/bot: unexpected EOF"},
		{200, "<html>", "redisqueue: GET /gateway/bot: invalid character '<' looking for beginning of value"},
		{200, `{"url":"x"}`, "redisqueue: GET /gateway/bot: the answer has no session_start_limit"},
		{200, `{"session_start_limit":{"total":1,"remaining":2,"reset_after":0,"max_concurrency":1}}`, "redisqueue: GET /gateway/bot: gatewayqueue: remaining is 2: want at most total, 1"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3")
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}))
		_, err := redisqueue.DiscordLimitsAt(server.URL, nil, token)(t.Context())
		require.EqualError(t, err, c.want)
		server.Close()
		_, err = redisqueue.DiscordLimitsAt(server.URL, nil, token)(t.Context())
		require.ErrorContains(t, err, "connection refused")
		for _, address := range []string{server.URL, "http://user:" + token + "@127.0.0.1:1", ":" + token} {
			_, err = redisqueue.DiscordLimitsAt(address, nil, token)(t.Context())
			require.Error(t, err)
			require.NotContains(t, err.Error(), token)
		}
	}
}
