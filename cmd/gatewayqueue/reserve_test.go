package main_test

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// The reserve is never granted: to no caller, by no way, however many ask at once,
// and whether it is the default or was given.
func TestReserve_IsNeverGranted(t *testing.T) {
	t.Parallel()
	const asks, grants, reserve = 8, 4, 60 // of one bucket each; max_concurrency, which is the default reserve
	server := redistest.Start(t)
	post := func(path string) func(context.Context, *served, string, int) error {
		return func(ctx context.Context, s *served, _ string, shard int) error {
			return okay(call(ctx, s.URL, "POST", path, fmt.Sprintf(`{"shard":%d,"max_wait_ms":60000}`, shard)))
		}
	}
	pod := func(do func(*redisqueue.RedisQueue) func(context.Context, int) error) func(context.Context, *served, string, int) error {
		return func(ctx context.Context, _ *served, app string, shard int) error {
			q, err := redisqueue.New(server.Client(t), redisqueue.WithApp(app), redisqueue.WithWindow(300*time.Millisecond))
			if err != nil {
				return err
			}
			t.Cleanup(func() { assert.NoError(t, q.Close()) })
			return do(q)(ctx, shard)
		}
	}
	for name, ask := range map[string]func(ctx context.Context, s *served, app string, shard int) error{
		"legacy": func(ctx context.Context, s *served, _ string, shard int) error {
			return okay(call(ctx, s.URL, "GET", "/?shard="+strconv.Itoa(shard), ""))
		},
		"sandwich": func(ctx context.Context, s *served, _ string, shard int) error {
			return okay(call(ctx, s.URL, "POST", "/v1/sandwich", fmt.Sprintf(`{"shard_id":%d,"max_concurrency":60,"token":"x","shard_count":60}`, shard)))
		},
		"identifies": post("/v1/identifies"),
		"permits":    post("/v1/permits"),
		"wait": func(ctx context.Context, _ *served, app string, shard int) error {
			return exec.CommandContext(ctx, program, "wait", "--quiet", "--shard", strconv.Itoa(shard), "--app", app, "--redis", "redis://"+server.Addr).Run() //nolint:gosec // our own
		},
		"package Wait": pod(func(q *redisqueue.RedisQueue) func(context.Context, int) error { return q.Wait }),
		"package Acquire": pod(func(q *redisqueue.RedisQueue) func(context.Context, int) error {
			return func(ctx context.Context, shard int) error { _, err := q.Acquire(ctx, shard); return err }
		}),
	} {
		for given, more := range map[string][]string{"default": nil, "given": {"--reserve", strconv.Itoa(reserve)}} {
			if given == "given" && strings.HasPrefix(name, "package") || given == "given" && name == "wait" {
				continue // the server's flag is not theirs
			}
			t.Run(name+", "+given, func(t *testing.T) {
				t.Parallel()
				app := strings.ReplaceAll(name, " ", "") + given
				s := serve(t, nil, append([]string{"--redis", "redis://" + server.Addr, "--app", app, "--fresh-start", "--max-concurrency", strconv.Itoa(reserve), "--total", "3000"}, more...)...)
				require.Equal(t, 200, s.call("POST", "/v1/identifies", `{"shard":59}`).code)
				require.Equal(t, 204, s.call("PUT", "/v1/limits", fmt.Sprintf(`{"total":3000,"remaining":%d,"reset_after":3600000,"max_concurrency":%d}`, reserve+grants, reserve)).code)
				ctx, cancel := context.WithCancel(t.Context())
				var granted atomic.Int64
				var all sync.WaitGroup
				for shard := range asks {
					all.Go(func() {
						if ask(ctx, s, app, shard) == nil {
							granted.Add(1)
						}
					})
				}
				assert.Eventually(t, func() bool {
					return granted.Load() >= grants && waiting(s) == asks-int(granted.Load())
				}, time.Minute, 20*time.Millisecond)
				assert.Equal(t, reserve, s.remaining())
				cancel()
				all.Wait()
				assert.EqualValues(t, grants, granted.Load())
			})
		}
	}
}

// okay is the error of a reply that is no grant.
func okay(r reply) error {
	if r.code != http.StatusOK && r.code != http.StatusCreated && r.code != http.StatusNoContent {
		return fmt.Errorf("%d: %s", r.code, r.text)
	}
	return nil
}

// waiting is how many stand in all lines.
func waiting(s *served) (n int) {
	r := s.call("GET", "/v1/status", "")
	return strings.Count(r.text, `"ticket"`)
}
