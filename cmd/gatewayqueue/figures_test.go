package main_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// An absent figure would be 0, and a max_concurrency of 0 no limit at all.
func TestServe_FiguresOfDiscordThatLackAFieldAreRefused(t *testing.T) {
	t.Parallel()
	incomplete := []string{`{}`, `{"total":9,"remaining":9,"reset_after":60000}`}
	for name, where := range map[string][]string{
		"memory": nil,
		"Redis":  {"--redis", "redis://" + redistest.Start(t).Addr, "--reserve", "0"},
	} {
		t.Run(name, func(t *testing.T) {
			var calls, later atomic.Int64
			var granted atomic.Bool
			fake := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				limit := `{"total":1000,"remaining":1000,"reset_after":0,"max_concurrency":2}`
				if n := int(calls.Add(1)); n == 1 || granted.Load() { // at the start, and in refreshes
					limit = incomplete[n%len(incomplete)]
				}
				if granted.Load() {
					later.Add(1)
				}
				_, _ = w.Write([]byte(`{"session_start_limit":` + limit + `}`))
			}))
			defer fake.Close()
			s := serve(t, []string{"DISCORD_TOKEN=sekret.bot-token"},
				append(where, "--discord-api", fake.URL, "--fresh-start", "--refresh", "1s")...)
			for shard := 0; later.Load() == 0; shard++ { // on Redis figures are refreshed while somebody asks
				code, _ := s.get("/?shard=" + strconv.Itoa(shard))
				require.Equal(t, 200, code)
				granted.Store(true)
			}
			_, limits := s.get("/v1/limits")
			assert.Contains(t, limits, `"total":1000,`)
			assert.Contains(t, limits, `"max_concurrency":2}`)
			assert.Contains(t, s.Log(), "max_concurrency is missing: want 1 to 65536")
		})
	}
}
