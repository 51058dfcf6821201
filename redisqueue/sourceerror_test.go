package redisqueue_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

func TestDiscordLimits_RefusalSaysWhyAndUntilWhen(t *testing.T) {
	const page = "<!DOCTYPE html><html><title>Access denied | discord.com used Cloudflare to restrict access</title></html>"
	date := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	in := func(d time.Duration) string { return date.Add(d).Format(http.TimeFormat) }
	for name, c := range map[string]struct {
		status int
		header map[string]string
		body   string
		want   time.Duration
		is     error
		text   string
	}{
		"whole seconds":                 {429, map[string]string{"Retry-After": "3600"}, "", time.Hour, redisqueue.ErrRateLimited, "429: rate limited for 3600 s"},
		"decimals":                      {429, map[string]string{"Retry-After": "0.75"}, "", 750 * time.Millisecond, redisqueue.ErrRateLimited, "429: rate limited for 0.75 s"},
		"a date":                        {429, map[string]string{"Retry-After": in(90 * time.Second)}, "", 90 * time.Second, redisqueue.ErrRateLimited, "429"},
		"a date that is over":           {429, map[string]string{"Retry-After": in(-time.Minute)}, "", 0, redisqueue.ErrRateLimited, "does not say for how long"},
		"reset after":                   {429, map[string]string{"X-RateLimit-Reset-After": "64.57"}, "", 64570 * time.Millisecond, redisqueue.ErrRateLimited, "429"},
		"a body":                        {429, nil, `{"message":"You are being rate limited.","retry_after":1336.57,"global":true}`, 1336570 * time.Millisecond, redisqueue.ErrRateLimited, "429"},
		"the longest of them":           {429, map[string]string{"Retry-After": "2", "X-RateLimit-Reset-After": "1.5"}, `{"retry_after":1.23}`, 2 * time.Second, redisqueue.ErrRateLimited, "429"},
		"absurdly long":                 {429, map[string]string{"Retry-After": "1e300"}, "", 24 * time.Hour, redisqueue.ErrRateLimited, "429"},
		"infinite":                      {429, map[string]string{"Retry-After": "Inf"}, "", 24 * time.Hour, redisqueue.ErrRateLimited, "429"},
		"a date of the next century":    {429, map[string]string{"Retry-After": in(100 * 365 * 24 * time.Hour)}, "", 24 * time.Hour, redisqueue.ErrRateLimited, "429"},
		"negative":                      {429, map[string]string{"Retry-After": "-5"}, "", 0, redisqueue.ErrRateLimited, "429"},
		"no number":                     {429, map[string]string{"Retry-After": "NaN"}, "", 0, redisqueue.ErrRateLimited, "429"},
		"a word":                        {429, map[string]string{"Retry-After": "soon"}, `{"retry_after":"soon"}`, 0, redisqueue.ErrRateLimited, "429"},
		"nothing":                       {429, nil, "", 0, redisqueue.ErrRateLimited, "429"},
		"a page with 429":               {429, map[string]string{"Retry-After": "600", "Content-Type": "text/html"}, page, 10 * time.Minute, redisqueue.ErrRateLimited, "a page of Cloudflare"},
		"a page with 403":               {403, map[string]string{"Content-Type": "text/html; charset=UTF-8"}, page, 0, redisqueue.ErrRateLimited, "a page of Cloudflare"},
		"a page with 503":               {503, map[string]string{"Retry-After": "5"}, "\n" + page, 5 * time.Second, redisqueue.ErrRateLimited, "a page of Cloudflare"},
		"a page with 502":               {502, map[string]string{"Content-Type": "text/html"}, page, 0, nil, "502 Bad Gateway"},
		"unavailable":                   {503, map[string]string{"Retry-After": "30"}, "upstream connect error", 30 * time.Second, nil, "503 Service Unavailable"},
		"unauthorized":                  {401, nil, `{"message":"401: Unauthorized","code":0}`, 0, redisqueue.ErrUnauthorized, "401: Discord refuses the bot token"},
		"forbidden":                     {403, nil, `{"message":"403: Forbidden","code":0}`, 0, redisqueue.ErrUnauthorized, "403: Discord refuses the bot token"},
		"a reset of a route that works": {500, map[string]string{"X-RateLimit-Reset-After": "9"}, "", 0, nil, "500 Internal Server Error"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", date.Format(http.TimeFormat))
				w.Header().Set("Content-Type", "application/json")
				for name, value := range c.header {
					w.Header().Set(name, value)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			_, err := redisqueue.DiscordLimitsAt(server.URL, nil, "sekret")(t.Context())
			var failed *redisqueue.SourceError
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, c.status, failed.Status)
			assert.InDelta(t, c.want, failed.RetryAfter, float64(time.Microsecond))
			assert.ErrorContains(t, err, c.text)
			for _, kind := range []error{redisqueue.ErrRateLimited, redisqueue.ErrUnauthorized} {
				assert.Equal(t, errors.Is(kind, c.is), errors.Is(err, kind), "%v is %v", err, kind)
			}
		})
	}
}

var (
	inAWhile    = &redisqueue.SourceError{Status: 429, RetryAfter: 10 * time.Minute, Err: redisqueue.ErrRateLimited}
	inAnHour    = &redisqueue.SourceError{Status: 429, RetryAfter: time.Hour, Err: redisqueue.ErrRateLimited}
	unnamed     = &redisqueue.SourceError{Status: 403, Err: redisqueue.ErrRateLimited}
	refused     = &redisqueue.SourceError{Status: 401, Err: redisqueue.ErrUnauthorized}
	unavailable = &redisqueue.SourceError{Status: 503, Err: errors.New("503 Service Unavailable")}
	unreachable = &net.OpError{Op: "dial", Err: errors.New("no route to host")}
)

func TestSourceBackoff_GrowsAndIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		err         error
		first, most time.Duration
	}{
		"said":        {inAnHour, time.Hour, time.Hour},
		"absurd":      {&redisqueue.SourceError{RetryAfter: 1 << 62, Err: redisqueue.ErrRateLimited}, 24 * time.Hour, 24 * time.Hour},
		"blocked":     {unnamed, 30 * time.Second, 15 * time.Minute},
		"refused":     {refused, 5 * time.Second, 5 * time.Minute},
		"unavailable": {unavailable, 1500 * time.Millisecond, time.Minute},
		"network":     {unreachable, 1500 * time.Millisecond, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var b redisqueue.SourceBackoff
				require.Zero(t, b.Wait())
				var told, last time.Duration
				start := time.Now()
				for n := range 2000 {
					wait, tell := b.Failed(c.err)
					if tell {
						require.True(t, n == 0 || time.Since(start)-told >= time.Hour, "told again after %v", time.Since(start)-told)
						told = time.Since(start)
					}
					require.GreaterOrEqual(t, wait, c.first)
					require.LessOrEqual(t, wait, c.most)
					require.Equal(t, wait, b.Wait())
					last = wait
					time.Sleep(wait)
					require.Zero(t, b.Wait())
				}
				require.GreaterOrEqual(t, last, c.most/2)
				require.Positive(t, told, "it is told hourly")
				_, tell := b.Failed(errors.New("another kind"))
				require.Equal(t, !errors.Is(c.err, unreachable), tell)
				require.True(t, b.Answered())
				require.False(t, b.Answered())
				_, tell = b.Failed(c.err)
				require.True(t, tell)
			})
		})
	}
}

// A source that says for how long it may not be asked is not asked before by any
// pod, nor by one that comes later.
func TestSource_NoPodAsksBeforeItMayBeAsked(t *testing.T) {
	unraced(t)
	t.Parallel()
	for name, whileFull := range map[string]bool{"nothing is known": false, "limits are in force": true} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, server *miniredis.Miniredis, client *redis.Client) {
				var d discord
				d.set(1000, 1000, 1, 0)
				log := newLogbook()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				pod := func(n int) {
					q := open(t, virtualClient(t, server), redisqueue.WithLimitSource(d.ask), redisqueue.WithFreshStart(), redisqueue.WithRefresh(time.Minute), log.option())
					go func() {
						for shard := 1000 * n; q.Wait(ctx, shard) == nil; shard++ {
						}
					}()
				}
				var failed error = inAWhile
				if !whileFull {
					d.err.Store(&failed)
				}
				for n := range 3 {
					pod(n)
				}
				if whileFull {
					time.Sleep(90 * time.Second)
					require.Positive(t, d.calls.Load())
					d.err.Store(&failed)
					time.Sleep(2 * time.Minute)
				}
				time.Sleep(time.Second)
				calls := d.calls.Load()
				time.Sleep(4 * time.Minute)
				pod(3) // it knows nothing of it but by Redis
				time.Sleep(3 * time.Minute)
				require.Equal(t, calls, d.calls.Load(), "asked before it may be")
				require.Equal(t, 1, log.said("the limit source failed"), log.all())
				looker := open(t, client)
				status, err := looker.Status(t.Context())
				require.NoError(t, err)
				require.Equal(t, "rate limited", status.Source.Error)
				require.True(t, status.Source.After.After(status.Time))
				none := error(nil)
				d.err.Store(&none)
				time.Sleep(4 * time.Minute)
				require.Greater(t, d.calls.Load(), calls)
				require.LessOrEqual(t, log.said("the limit source answers again"), 1, log.all())
				status, err = looker.Status(t.Context())
				require.NoError(t, err)
				require.Zero(t, status.Source)
				require.Equal(t, 1, status.Budget.MaxConcurrency)
			})
		})
	}
}

// A token that is refused is one pod's: another pod may have a better one.
func TestSource_RefusedTokenIsOfOnePod(t *testing.T) {
	within(t, func(t *testing.T, server *miniredis.Miniredis, _ *redis.Client) {
		var bad, good discord
		good.set(1000, 1000, 1, 0)
		var failed error = refused
		bad.err.Store(&failed)
		log := newLogbook()
		old := open(t, virtualClient(t, server), redisqueue.WithLimitSource(bad.ask), redisqueue.WithFreshStart(), log.option())
		waiter := ask(t.Context(), old, 0)
		waitsOn(t, waiter, 2*time.Hour)
		require.Less(t, bad.calls.Load(), int64(60), "ever slower")
		require.Greater(t, bad.calls.Load(), int64(20))
		require.InDelta(t, 2, log.said("Discord refuses the bot token"), 1, "hourly: %v", log.all())
		require.ErrorIs(t, old.Ready(t.Context()), redisqueue.ErrUnauthorized)

		calls := bad.calls.Load()
		fresh := open(t, virtualClient(t, server), redisqueue.WithLimitSource(good.ask), redisqueue.WithFreshStart())
		require.NoError(t, answered(t, ask(t.Context(), fresh, 1), 20*time.Second))
		require.NoError(t, answered(t, waiter, 20*time.Second))
		require.LessOrEqual(t, bad.calls.Load(), calls+1)
	})
}
