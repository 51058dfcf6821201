package main_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// Commands answer the same of a queue that is not there yet, whether they ask Redis or a
// server; but a server's own application is no slip of the pen, and may be paused and
// resumed before its first start.
func TestNoQueueYet_IsTheSameByRedisAndByServer(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	server := redistest.Start(t)
	url := "redis://" + server.Addr
	s := serve(t, []string{"GATEWAYQUEUE_AUTH_TOKEN=" + token}, "--redis", url, "--app", "a", "--max-concurrency", "2")
	both := func(line string) (byRedis, byServer result) {
		ask := func(env []string, more ...string) result {
			cmd := command(t, append(strings.Fields(line), more...)...)
			cmd.Env = append(cmd.Env, env...)
			return finish(t, cmd, func() {})
		}
		return ask(nil, "--redis", url, "--app", "a"), ask([]string{"GATEWAYQUEUE_AUTH_TOKEN=" + token}, "--url", s.URL)
	}
	for line, code := range map[string]int{
		"check": 3, "check --json": 3, "plan --shards 1": 3, "plan --shards 1 --json": 3, "status": 1, "status --json": 1, "history": 1, "history --json": 1, "audit": 1, "audit --json": 1,
	} {
		byRedis, byServer := both(line)
		assert.Equal(t, code, byRedis.code, "%s: %s%s", line, byRedis.out, byRedis.err)
		assert.Equal(t, code, byServer.code, "%s: %s%s", line, byServer.out, byServer.err)
		assert.Contains(t, byRedis.out+byRedis.err, "there is no queue in Redis at", line)
		assert.Contains(t, byServer.out+byServer.err, "has no queue yet", line)
	}
	byRedis, byServer := both("pause --why x")
	assert.Equal(t, 1, byRedis.code, byRedis.out)
	assert.Zero(t, byServer.code, byServer.err)
	assert.Contains(t, byServer.out, "there is no such queue yet")
	_, byServer = both("resume --why x")
	assert.Zero(t, byServer.code, byServer.err)

	require.NoError(t, server.Client(t).Del(t.Context(), "identify:{a}:limits", "identify:{a}:audit").Err())
	require.Equal(t, 201, s.call("POST", "/v1/permits", `{"shard":0}`, "Authorization", "Bearer "+token).code)
	require.NoError(t, server.Client(t).HDel(t.Context(), "identify:{a}:limits", "epoch").Err()) // lost a part
	for _, line := range []string{"check", "plan --shards 1", "status", "history", "audit"} {
		byRedis, byServer := both(line)
		assert.Equal(t, byRedis.code, byServer.code, "%s: %s%s and %s%s", line, byRedis.out, byRedis.err, byServer.out, byServer.err)
		assert.NotContains(t, byServer.out+byServer.err, "no queue", line)
	}
}
