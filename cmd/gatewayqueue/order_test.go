package main_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// A fleet of two pods is paused and resumed from the shell, as docs/cli.md says.
func TestPause_StopsAFleetAndResumeLetsItGoOn(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url := "redis://" + server.Addr
	var pods []*redisqueue.RedisQueue
	for _, name := range []string{"web-1", "web-2"} {
		q, err := redisqueue.New(server.Client(t), redisqueue.WithApp("1234"), redisqueue.WithPod(name), redisqueue.WithFreshStart(),
			redisqueue.WithLimit(gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, MaxConcurrency: 8}))
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, q.Close()) })
		pods = append(pods, q)
	}
	require.NoError(t, pods[0].Wait(t.Context(), 7))
	got := run(t, "pause", "--why", "Discord is down", "--who", "alice", "--for", "30m", "--redis", url)
	assert.Equal(t, result{"paused queue 1234 in Redis at " + url + " for 30m\n", "", 0}, got)
	granted := make(chan error, 4)
	for shard := range 4 {
		go func() { granted <- pods[shard%2].Wait(t.Context(), shard) }()
	}
	require.Eventually(t, func() bool {
		s, err := pods[0].Status(t.Context())
		return err == nil && s.Waiting() == 4
	}, 10*time.Second, 10*time.Millisecond)
	assert.Empty(t, granted)
	got = run(t, "status", "--redis", url)
	assert.Regexp(t, `(?m)^ +paused  by alice: Discord is down, \S+ s ago, for (29|30) min \d+ s more$`, got.out)
	assert.Contains(t, got.out, "4 in line\n", "not when the last one gets its turn")
	got = run(t, "pause", "--why", "still", "--who", "bob", "--redis", url)
	assert.Equal(t, "paused queue 1234 in Redis at "+url+" until it is resumed; it was paused by alice: Discord is down\n", got.out)
	assert.Empty(t, granted)

	got = run(t, "resume", "--why", "it is up", "--redis", url)
	assert.Equal(t, "resumed queue 1234 in Redis at "+url+", which was paused by bob: still\n", got.out)
	for range 4 {
		select {
		case err := <-granted:
			require.NoError(t, err)
		case <-time.After(10 * time.Second):
			require.Fail(t, "they still wait")
		}
	}
	got = run(t, "resume", "--why", "again", "--redis", url)
	assert.Equal(t, "queue 1234 in Redis at "+url+" was not paused\n", got.out)
	got = run(t, "audit", "--redis", url)
	lines := strings.Split(got.out, "\n")
	require.Len(t, lines, 4, got.out)
	assert.Regexp(t, `^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  resume by \S+: it is up$`, lines[0])
	assert.Regexp(t, `  pause by bob: still$`, lines[1])
	assert.Regexp(t, `  pause for 30m by alice: Discord is down$`, lines[2])
	var audit []gatewayqueue.AuditEntry
	require.NoError(t, json.Unmarshal([]byte(run(t, "audit", "--redis", url, "--json").out), &audit))
	require.Len(t, audit, 3)
	assert.Equal(t, 30*time.Minute, audit[2].For)

	got = run(t, "pause", "--why", "before the first start", "--app", "5678", "--new", "--redis", url)
	assert.Contains(t, got.out, "there is no such queue yet")
}

func TestPause_ThroughAServerTakesItsToken(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	open, guarded := serve(t, nil), serve(t, []string{"GATEWAYQUEUE_AUTH_TOKEN=" + token})
	got := run(t, "pause", "--why", "to see", "--url", open.URL)
	assert.Equal(t, 1, got.code)
	assert.Contains(t, got.err, "this server has no token, so it takes no orders: give it one (WithBearerToken; serve --auth-token-file)")
	got = run(t, "pause", "--why", "to see", "--url", guarded.URL)
	assert.Equal(t, 1, got.code)
	assert.Contains(t, got.err, "the server asks for a token (401)")

	file := t.TempDir() + "/token"
	require.NoError(t, os.WriteFile(file, []byte(token), 0o600))
	got = run(t, "pause", "--why", "to see", "--who", "alice", "--url", guarded.URL, "--auth-token-file", file)
	assert.Equal(t, result{"paused the queue of the server at " + guarded.URL + " until it is resumed\n", "", 0}, got)
	ctx, end := context.WithTimeout(t.Context(), 2*time.Second)
	defer end()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, guarded.URL+"/?shard=0", http.NoBody)
	require.NoError(t, err)
	_, err = http.DefaultClient.Do(req) //nolint:bodyclose // no answer, no body
	require.ErrorIs(t, err, context.DeadlineExceeded, "the legacy route grants nothing either")
	got = run(t, "status", "--url", guarded.URL, "--auth-token-file", file)
	assert.Contains(t, got.out, "by alice at 127.0.0.1: to see")
	require.Zero(t, run(t, "resume", "--why", "seen", "--url", guarded.URL, "--auth-token-file", file).code)
	code, body := guarded.get("/?shard=0")
	assert.Equal(t, 200, code, body)
	assert.Contains(t, guarded.Log(), `an operator has given an order" order=pause who="alice at 127.0.0.1" why="to see"`)
	assert.NotContains(t, guarded.Log(), token)
}

// An order is in force and in the audit, or it fails and is neither.
func TestPause_ThatCannotBeWrittenDownIsNotInForce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := server.Client(t)
	url := "redis://" + server.Addr
	acl, err := os.ReadFile("../../redisqueue/testdata/acl.txt")
	require.NoError(t, err)
	asUser := "redis://gatewayqueue:secret@" + server.Addr
	rights := func(more ...string) {
		var line []any
		for _, word := range append(strings.Fields(string(acl)), more...) {
			line = append(line, word)
		}
		require.NoError(t, admin.Do(t.Context(), line...).Err())
	}
	config := func(name, value string) { require.NoError(t, admin.ConfigSet(t.Context(), name, value).Err()) }
	const audit = "identify:{1234}:audit"
	for name, c := range map[string]struct{ broken, whole func() }{
		"the audit is of a wrong type": {
			func() {
				require.NoError(t, admin.Rename(t.Context(), audit, "kept").Err())
				require.NoError(t, admin.Set(t.Context(), audit, "x", 0).Err())
			},
			func() { require.NoError(t, admin.Rename(t.Context(), "kept", audit).Err()) },
		},
		"no right to lpush": {func() { rights("-lpush") }, func() { rights() }},
		"no right to ltrim": {func() { rights("-ltrim") }, func() { rights() }},
		"no right to hset":  {func() { rights("-hset") }, func() { rights() }},
		"no right to hdel":  {func() { rights("-hdel") }, func() { rights() }},
		"no right to the audit": {
			func() { rights("resetkeys", "~identify:{1234}:limits") }, func() { rights() },
		},
		"read only": {
			func() { require.NoError(t, admin.Do(t.Context(), "REPLICAOF", "127.0.0.1", "1").Err()) },
			func() { require.NoError(t, admin.Do(t.Context(), "REPLICAOF", "NO", "ONE").Err()) },
		},
		"out of memory": {func() { config("maxmemory", "1") }, func() { config("maxmemory", "0") }},
	} {
		require.NoError(t, admin.FlushAll(t.Context()).Err())
		rights()
		for _, order := range []string{"pause", "resume"} {
			if order == "resume" {
				require.Zero(t, run(t, "pause", "--app", "1234", "--new", "--why", "a", "--redis", url).code)
			} else {
				require.NoError(t, admin.HSet(t.Context(), "identify:{1234}:limits", "x", "y").Err())
				require.NoError(t, admin.RPush(t.Context(), audit, "{}").Err())
			}
			seen := func() string {
				return strings.Join(admin.LRange(t.Context(), audit, 0, -1).Val(), " ") + admin.HGet(t.Context(), "identify:{1234}:limits", "paused_until").Val()
			}
			before := seen()
			c.broken()
			got := run(t, order, "--app", "1234", "--why", "b", "--redis", asUser)
			c.whole()
			changed := seen() != before
			assert.Equal(t, got.code == 0, changed, "%s, %s: it says %d, %s", order, name, got.code, got.err)
			if got.code == 0 {
				assert.Equal(t, "out of memory", name, "%s is refused", order)
			}
		}
	}
}

// An application that has no queue is a slip of the pen.
func TestAnUnknownApplication_IsRefusedWithTheNamesOfOthers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	admin := server.Client(t)
	for _, app := range []string{"1234", "5678"} {
		require.NoError(t, admin.HSet(t.Context(), "identify:{"+app+"}:limits", "epoch", "e").Err())
	}
	keys := admin.DBSize(t.Context()).Val()
	for _, command := range [][]string{
		{"pause", "--why", "x"}, {"resume", "--why", "x"}, {"audit"}, {"status"}, {"status", "--json"}, {"history"}, {"plan", "--shards", "1"}, {"check"},
	} {
		got := run(t, append(command, "--app", "1243", "--redis", "redis://"+server.Addr)...)
		assert.NotZero(t, got.code, "%v", command)
		assert.Contains(t, got.out+got.err, "application 1243 has no queue in Redis at redis://"+server.Addr+": --app may be 1234, 5678", "%v", command)
	}
	assert.Equal(t, keys, admin.DBSize(t.Context()).Val(), "nothing was written")
}

func TestAudit_SaysThatOlderOrdersAreNotKept(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	queueOf(t, server, "1234", 0)
	at := []string{"--redis", "redis://" + server.Addr}
	entry := func() {
		const order = `{"time":"2026-01-03T13:01:58Z","what":"pause","who":"anna","why":"x"}`
		require.NoError(t, server.Client(t).LPush(t.Context(), "identify:{1234}:audit", order).Err())
	}
	for range gatewayqueue.AuditKept - 1 {
		entry()
	}
	assert.NotContains(t, run(t, append([]string{"audit"}, at...)...).out, "not kept")
	entry()
	got := run(t, append([]string{"audit"}, at...)...)
	assert.Zero(t, got.code, got.err)
	assert.True(t, strings.HasSuffix(got.out, "\norders before these 100 are not kept\n"), got.out)
	assert.NotContains(t, run(t, append([]string{"audit", "--json"}, at...)...).out, "not kept")
}
