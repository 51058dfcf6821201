// What Discord says at the start of serve and later, in memory and on Redis.

package main_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// answers is a Discord that answers GET /gateway/bot as it is told.
type answers struct {
	URL  string
	now  atomic.Pointer[answer]
	asks atomic.Int64
}

type answer struct {
	status int
	body   string
	header map[string]string
}

func startAnswers(t *testing.T, first answer) *answers {
	t.Helper()
	a := &answers{}
	a.now.Store(&first)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a.asks.Add(1)
		now := a.now.Load()
		for name, value := range now.header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(now.status)
		_, _ = io.WriteString(w, now.body) // It is read, or not.
	}))
	t.Cleanup(server.Close)
	a.URL = server.URL
	return a
}

// good is an answer with max_concurrency 2.
const good = `{"url":"wss://x","shards":4,"session_start_limit":{"total":1000,"remaining":900,"reset_after":3600000,"max_concurrency":2}}`

// eachStore runs f in memory and on Redis.
func eachStore(t *testing.T, f func(t *testing.T, where []string)) {
	t.Helper()
	t.Run("in memory", func(t *testing.T) { t.Parallel(); f(t, nil) })
	t.Run("on Redis", func(t *testing.T) { t.Parallel(); f(t, []string{"--redis", "redis://" + redistest.Start(t).Addr}) })
}

func TestLimits_ATokenThatDiscordRefusesEndsTheServerAtTheStart(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403} {
		discord := startAnswers(t, answer{status: status, body: `{"message": "401: Unauthorized", "code": 0}`})
		eachStore(t, func(t *testing.T, where []string) {
			cmd := command(t, append([]string{"serve", "--port", "0", "--discord-api", discord.URL}, where...)...)
			cmd.Env = append(cmd.Env, "DISCORD_TOKEN=wr0ng-t0ken")
			got := finish(t, cmd, func() {})
			assert.Equal(t, 1, got.code)
			assert.Contains(t, got.err, "Discord refuses the bot token")
			assert.NotContains(t, got.err, "wr0ng")
		})
	}
}

func TestLimits_ATokenThatDiscordRefusesLaterIsSaidByReadyz(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, where []string) {
		discord := startAnswers(t, answer{status: 200, body: good})
		s := serve(t, []string{"DISCORD_TOKEN=" + botToken}, append(where, "--discord-api", discord.URL, "--refresh", "1s", "--fresh-start")...)
		ready := func(want string) {
			t.Helper()
			require.Eventually(t, func() bool {
				if want != "ready\n" || where == nil {
					call(t.Context(), s.URL, "POST", "/v1/identifies", `{"shard":0,"max_wait_ms":100}`) // on Redis a waiter has the limits refreshed
				}
				_, body := s.get("/readyz")
				return body == want
			}, time.Minute, 200*time.Millisecond, s.Log())
		}
		ready("ready\n")
		discord.now.Store(&answer{status: 401})
		ready("not ready: Discord refuses the bot token\n")
		code, _ := s.get("/healthz")
		assert.Equal(t, 200, code, "a restart would not help")
		before := discord.asks.Load()
		time.Sleep(3 * time.Second)
		assert.LessOrEqual(t, discord.asks.Load()-before, int64(1), "ever more rarely")
		discord.now.Store(&answer{status: 200, body: good})
		ready("ready\n") // also where nobody comes any more
	})
}

// wrong are answers of 200 that hold no figures, or not all.
var wrong = map[string]string{
	"an empty object":          `{}`,
	"no limits":                `{"url":"wss://x","shards":4}`,
	"null limits":              `{"session_start_limit":null}`,
	"empty limits":             `{"session_start_limit":{}}`,
	"no max_concurrency":       `{"session_start_limit":{"total":1000,"remaining":900,"reset_after":3600000}}`,
	"max_concurrency of null":  `{"session_start_limit":{"total":1000,"remaining":900,"reset_after":3600000,"max_concurrency":null}}`,
	"max_concurrency of 0":     `{"session_start_limit":{"total":1000,"remaining":900,"reset_after":3600000,"max_concurrency":0}}`,
	"no remaining":             `{"session_start_limit":{"total":1000,"reset_after":3600000,"max_concurrency":2}}`,
	"no total":                 `{"session_start_limit":{"remaining":900,"reset_after":3600000,"max_concurrency":2}}`,
	"no reset_after":           `{"session_start_limit":{"total":1000,"remaining":900,"max_concurrency":2}}`,
	"a page":                   `<!DOCTYPE html><html></html>`,
	"nothing":                  ``,
	"more remaining than all":  `{"session_start_limit":{"total":10,"remaining":900,"reset_after":3600000,"max_concurrency":2}}`,
	"a negative concurrency":   `{"session_start_limit":{"total":1000,"remaining":900,"reset_after":3600000,"max_concurrency":-1}}`,
	"a fraction of a shard":    `{"session_start_limit":{"total":1000,"remaining":900,"reset_after":3600000,"max_concurrency":0.5}}`,
	"figures that are strings": `{"session_start_limit":{"total":"1000","remaining":"900","reset_after":"3600000","max_concurrency":"2"}}`,
}

func TestLimits_FiguresThatLackAFieldGrantNothingAtTheStart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	n := 0
	for what, body := range wrong {
		n++
		app := "start-" + string(rune('a'+n))
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for _, where := range [][]string{nil, {"--redis", "redis://" + server.Addr, "--app", app}} {
				discord := startAnswers(t, answer{status: 200, body: body})
				s := serve(t, []string{"DISCORD_TOKEN=" + botToken}, append(where, "--fresh-start", "--discord-api", discord.URL)...)
				r := s.call("POST", "/v1/identifies", `{"shard":0,"max_wait_ms":500}`)
				assert.Equal(t, 202, r.code, "%s: %s", r.text, s.Log())
				_, ready := s.get("/readyz")
				assert.Equal(t, "not ready: no limits from Discord yet\n", ready)
				code, _ := s.get("/healthz")
				assert.Equal(t, 200, code, "who starts it again asks Discord again")
				if where == nil && body != `{}` {
					continue // one is enough of what takes a while
				}
				discord.now.Store(&answer{status: 200, body: good})
				assert.Equal(t, 200, s.call("POST", "/v1/identifies", `{"shard":0,"max_wait_ms":60000}`).code)
				assert.Contains(t, s.call("GET", "/v1/limits", "").text, `"total":1000,"remaining":899,`)
			}
		})
	}
}

// Of a Discord that wants to be left alone, at the start and by the whole fleet.
func TestLimits_NobodyAsksBeforeDiscordWantsToBeAskedAgain(t *testing.T) {
	t.Parallel()
	for what, first := range map[string]answer{
		"a time":            {status: 429, header: map[string]string{"Retry-After": "3600"}},
		"no time":           {status: 429},
		"a time in a body":  {status: 429, body: `{"retry_after": 3600}`},
		"a page, forbidden": {status: 403, body: "<html>error 1015</html>", header: map[string]string{"Content-Type": "text/html"}},
	} {
		t.Run(what, func(t *testing.T) {
			eachStore(t, func(t *testing.T, where []string) {
				discord := startAnswers(t, first)
				start := func() *served {
					return serve(t, []string{"DISCORD_TOKEN=" + botToken}, append(where, "--fresh-start", "--refresh", "1s", "--discord-api", discord.URL)...)
				}
				servers := []*served{start()}
				if where != nil {
					servers = append(servers, start(), start())
				}
				for _, s := range servers {
					assert.Equal(t, 202, s.call("POST", "/v1/permits", `{"shard":0,"max_wait_ms":2500}`).code)
				}
				assert.EqualValues(t, 1, discord.asks.Load())
			})
		})
	}
}

func TestLimits_ASignalWhileDiscordIsSilentAtTheStartEndsItWithZero(t *testing.T) {
	t.Parallel()
	silent := make(chan struct{})
	asked := make(chan struct{}, 10)
	discord := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-silent:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(discord.Close)
	t.Cleanup(func() { close(silent) })
	eachStore(t, func(t *testing.T, where []string) {
		cmd := command(t, append([]string{"serve", "--port", "0", "--discord-api", discord.URL}, where...)...)
		cmd.Env = append(cmd.Env, "DISCORD_TOKEN="+botToken)
		got := finish(t, cmd, func() { <-asked; _ = cmd.Process.Signal(syscall.SIGTERM) })
		assert.Equal(t, 0, got.code, got.err)
	})
}

func TestLimits_FiguresThatLackAFieldChangeNothingAtARefresh(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, where []string) {
		for what, body := range wrong {
			t.Run(what, func(t *testing.T) {
				t.Parallel()
				discord := startAnswers(t, answer{status: 200, body: good})
				args := append([]string{"--discord-api", discord.URL, "--refresh", "1s", "--fresh-start", "--app", strings.ReplaceAll(what, " ", "-")}, where...)
				s := serve(t, []string{"DISCORD_TOKEN=" + botToken}, args...)
				require.Equal(t, 200, s.call("POST", "/v1/identifies", `{"shard":0}`).code, s.Log())
				discord.now.Store(&answer{status: 200, body: body})
				asks := discord.asks.Load()
				require.Eventually(t, func() bool {
					call(t.Context(), s.URL, "POST", "/v1/identifies", `{"shard":0,"max_wait_ms":100}`)
					return discord.asks.Load() > asks
				}, time.Minute, 100*time.Millisecond)
				r := s.call("GET", "/v1/limits", "")
				assert.Contains(t, r.text, `"max_concurrency":2`)
				assert.Contains(t, r.text, `"total":1000`)
			})
		}
	})
}
