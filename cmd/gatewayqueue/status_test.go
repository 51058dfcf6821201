package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// queueOf has shards of one pod identify, or wait, in a real Redis.
func queueOf(t *testing.T, server *redistest.Server, app string, shards ...int) {
	t.Helper()
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 700, ResetAfter: time.Hour, MaxConcurrency: 2}
	q, err := redisqueue.New(server.Client(t), redisqueue.WithApp(app), redisqueue.WithPod("pod-1"),
		redisqueue.WithLimit(limit), redisqueue.WithFreshStart(), redisqueue.WithWindow(time.Minute))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	for _, shard := range shards {
		go q.Wait(t.Context(), shard) //nolint:errcheck // Those in line end with the test.
	}
	require.Eventually(t, func() bool {
		s, err := q.Status(t.Context())
		if err != nil {
			return false
		}
		there := s.Waiting()
		for _, b := range s.Buckets {
			if b.Holder != "" {
				there++
			}
		}
		return there == len(shards)
	}, time.Minute, 10*time.Millisecond)
}

func TestStatusShowsARunningQueue(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	queueOf(t, server, "1234", 0, 2, 4)

	got := run(t, "status", "--redis", "redis://"+server.Addr, "--app", "1234")
	assert.Zero(t, got.code, got.err)
	assert.Contains(t, got.out, " queue 1234, max_concurrency 2, at ")
	assert.Contains(t, got.out, "    pods  1: pod-1\n")
	assert.Contains(t, got.out, "2 in line")
	assert.Contains(t, got.out, "699 of 1000 left, reserve 10 by default, resets in ")
	assert.Regexp(t, `(?m)^ +0  closed .* s  \d@pod-1 +2  \d@pod-1 \d@pod-1$`, got.out)
	assert.Regexp(t, `(?m)^ +1  open +- +-$`, got.out)
	assert.NotContains(t, got.out, "\x1b")

	again := run(t, "status", "--redis", "redis://"+server.Addr)
	assert.Contains(t, again.out, " queue 1234,", "the only queue needs no --app")
}

func TestStatusAsJSON(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	queueOf(t, server, "1234", 1, 3)
	got := run(t, "status", "--redis", "redis://"+server.Addr, "--json")
	require.Zero(t, got.code, got.err)
	var s gatewayqueue.Status
	require.NoError(t, json.Unmarshal([]byte(got.out), &s))
	assert.Equal(t, "1234", s.App)
	assert.Equal(t, 699, s.Budget.Remaining)
	require.Len(t, s.Buckets, 2)
	assert.Equal(t, 1, s.Buckets[1].Waiting)
	assert.Positive(t, s.Buckets[1].Closed)
}

func TestStatus_SaysThatItIsAReplica(t *testing.T) {
	t.Parallel()
	primary, replica := redistest.Start(t, "--repl-diskless-sync-delay", "0"), redistest.Start(t)
	queueOf(t, primary, "1234", 1)
	host, port, err := net.SplitHostPort(primary.Addr)
	require.NoError(t, err)
	client := replica.Client(t)
	require.NoError(t, client.Do(t.Context(), "REPLICAOF", host, port).Err())
	require.Eventually(t, func() bool { return client.Exists(t.Context(), "identify:{1234}:limits").Val() == 1 }, time.Minute, 10*time.Millisecond)
	for server, is := range map[*redistest.Server]bool{primary: false, replica: true} {
		got := run(t, "status", "--redis", "redis://"+server.Addr)
		require.Zero(t, got.code, got.err)
		assert.Equal(t, is, strings.Contains(got.out, "a replica: it grants nothing"), got.out)
		got = run(t, "status", "--redis", "redis://"+server.Addr, "--json")
		require.Zero(t, got.code, got.err)
		assert.Equal(t, is, strings.Contains(got.out, `"replica": true`), got.out)
		for _, line := range []string{"status", "check", "plan --shards 1 --crash-reserve 0"} {
			got = run(t, append(strings.Fields(line), "--redis", "redis://"+server.Addr)...)
			assert.Equal(t, is, strings.Contains(got.out, "give the URL of its primary"), "%s: %s%s", line, got.out, got.err)
		}
	}
}

func TestWatchedJSONIsOneSnapshotALine(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	queueOf(t, server, "1234", 0)
	cmd := command(t, "status", "--json", "--watch=100ms")
	cmd.Env = append(cmd.Env, "REDIS_URL=redis://"+server.Addr)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewScanner(out)
	for range 3 {
		require.True(t, lines.Scan())
		var s gatewayqueue.Status
		require.NoError(t, json.Unmarshal(lines.Bytes(), &s))
		assert.Equal(t, "1234", s.App)
	}
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	for lines.Scan() { // Until it has ended.
	}
	_ = cmd.Wait() // The exit status is looked at.
	assert.Equal(t, 130, cmd.ProcessState.ExitCode())
}

func TestStatusOfNoQueueSaysWhatThereIs(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url := "redis://" + server.Addr
	fails := func(want string, args ...string) {
		t.Helper()
		got := run(t, append([]string{"status", "--redis", url}, args...)...)
		assert.Equal(t, result{"", "gatewayqueue status: " + want + "\n", 1}, got)
	}
	fails("there is no queue in Redis at " + url + ": is it the right server and database? A queue is there from the first Wait of a pod")
	queueOf(t, server, "a")
	queueOf(t, server, "a", 0)
	fails("application x has no queue in Redis at "+url+": --app may be a", "--app", "x")
	queueOf(t, server, "b", 0)
	require.NoError(t, server.Client(t).HSet(t.Context(), "identify:{<b>}:limits", "total", 1).Err()) // of somebody else
	fails("Redis at " + url + " has 2 queues: choose one with --app: a, b")
}

func TestStatusOfAKeyOfTheWrongType(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	require.NoError(t, server.Client(t).Set(t.Context(), "identify:{a}:limits", "text", 0).Err())
	got := run(t, "status", "--redis", "redis://"+server.Addr)
	assert.Zero(t, got.code, got.err)
	assert.Contains(t, got.out, "grants are refused: identify:{a}:limits holds another type than the queue's")
}

func TestStatus_SaysWhatKeepsAQueueFromGranting(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	source := func(context.Context) (gatewayqueue.SessionStartLimit, error) {
		return gatewayqueue.SessionStartLimit{}, &redisqueue.SourceError{Status: 429, RetryAfter: time.Hour, Err: redisqueue.ErrRateLimited}
	}
	q, err := redisqueue.New(client, redisqueue.WithApp("limited"), redisqueue.WithLimitSource(source))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, q.Close()) })
	go q.Wait(t.Context(), 0) //nolint:errcheck // It ends with the test.
	shown := func(app string) string { return run(t, "status", "--redis", "redis://"+server.Addr, "--app", app).out }
	require.Eventually(t, func() bool {
		return client.HExists(t.Context(), "identify:{limited}:limits", "source_error").Val()
	}, time.Minute, 20*time.Millisecond)
	assert.Regexp(t, `(?m)^ +source  the limits could not be asked for: rate limited, asked again in (1 h 0 min|59 min \d+ s)$`, shown("limited"))
	assert.Contains(t, shown("limited"), "no limits yet, so nothing is granted")

	none, err := redisqueue.New(client, redisqueue.WithApp("none"), redisqueue.WithFreshStart())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, none.Close()) })
	require.NoError(t, none.Update(t.Context(), gatewayqueue.SessionStartLimit{MaxConcurrency: 1}))
	assert.Contains(t, shown("none"), "under these limits nothing is ever granted: the total is 0")
}

func TestStatus_OfAServer(t *testing.T) {
	t.Parallel()
	s := serve(t, []string{"GATEWAYQUEUE_AUTH_TOKEN=" + authToken}, "--fresh-start", "--max-concurrency", "2")
	look := func(token string, args ...string) result {
		cmd := command(t, append([]string{"status"}, args...)...)
		cmd.Env = append(cmd.Env, "GATEWAYQUEUE_URL="+s.URL, "REDIS_URL=redis://127.0.0.1:1")
		if token != "" {
			cmd.Env = append(cmd.Env, "GATEWAYQUEUE_AUTH_TOKEN="+token)
		}
		return finish(t, cmd, func() {})
	}
	got := look(authToken)
	require.Zero(t, got.code, got.err)
	assert.Contains(t, got.out, " queue in memory, max_concurrency 2, at ")
	assert.Contains(t, got.out, s.URL)
	assert.Contains(t, got.out, "1000 of 1000 left, reserve 0, ")
	assert.Contains(t, got.out, "waiting  nobody, every bucket is open: the queue is at rest")
	assert.NotContains(t, got.out, "pods")
	got = look(authToken, "--json")
	var status gatewayqueue.Status
	require.NoError(t, json.Unmarshal([]byte(got.out), &status))
	assert.Len(t, status.Buckets, 2)

	assert.Equal(t, result{"", "gatewayqueue status: server at " + s.URL + ": the server asks for a token (401): put it into $GATEWAYQUEUE_AUTH_TOKEN, or type --auth-token-file FILE\n", 1}, look(""))
	assert.Contains(t, look("another-token-of-24-bytes").err, "the server refuses the token")
	fake := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(fake.Close)
	for url, want := range map[string]string{
		fake.URL:             "what answers there is not gatewayqueue serve: correct --url",
		s.URL + "/x":         "there is no queue at this path: --url is the address without one (404)",
		"http://127.0.0.1:1": "nothing listens there: start gatewayqueue serve, or correct --url",
		"http://x.invalid":   "there is no such host",
		strings.Replace(s.URL, "http", "https", 1): "is it http:// or https://?",
	} {
		got := run(t, "status", "--url", url)
		assert.Equal(t, 1, got.code, url)
		assert.Contains(t, got.err, want, url)
		assert.Equal(t, 1, strings.Count(got.err, "\n"), got.err)
	}
}

func TestStatus_NamesTheValueThatIsWrongAndWhatToType(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	queueOf(t, server, "a")
	queueOf(t, server, "a", 0)
	url := "redis://" + server.Addr
	typed := regexp.MustCompile(`type redis-cli -u ` + url + ` (\S+) '(\S+)'(?: (\S+))?`)
	for _, c := range []struct{ command, is string }{
		{"HSET limits total banana", `identify:{a}:limits total is "banana"`},
		{"HSET limits max_concurrency 99999", `identify:{a}:limits max_concurrency is "99999"`},
		{"HSET limits closed_until soon", `identify:{a}:limits closed_until is "soon"`},
		{"SET remaining banana", `identify:{a}:remaining is "banana"`},
	} {
		words := strings.Fields(c.command)
		words[1] = "identify:{a}:" + words[1]
		before := client.Dump(t.Context(), words[1]).Val()
		args := make([]any, len(words))
		for i, word := range words {
			args[i] = word
		}
		require.NoError(t, client.Do(t.Context(), args...).Err())
		for _, command := range []string{"status", "wait --shard 1 --timeout 30s"} {
			got := run(t, append(strings.Fields(command), "--redis", url, "--app", "a")...)
			said := got.err
			if command == "status" {
				assert.Zero(t, got.code, c.command)
				said = got.out
			} else {
				assert.NotZero(t, got.code, c.command)
				assert.Equal(t, 1, strings.Count(got.err, "\n"), got.err)
			}
			assert.Contains(t, said, c.is, command)
			assert.NotContains(t, said, "redisqueue:")
			cure := typed.FindStringSubmatch(said)
			require.NotNil(t, cure, said)
			assert.Equal(t, words[1], cure[2])
			if words[0] == "HSET" {
				assert.Equal(t, map[string]string{"closed_until": "HDEL"}[words[2]] == "HDEL", cure[1] == "HDEL", said)
			}
		}
		require.NoError(t, client.RestoreReplace(t.Context(), words[1], 0, before).Err())
		assert.Zero(t, run(t, "status", "--redis", url).code)
	}
}
