package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// served is a server of its own process.
type served struct {
	t   *testing.T
	cmd *exec.Cmd
	URL string

	mu   sync.Mutex
	log  strings.Builder
	read chan struct{} // closed at the end of the log
}

// serve starts a server on a free port, with a short window, and env in front of
// the machine's.
func serve(t *testing.T, env []string, args ...string) *served {
	t.Helper()
	return serveWith(t, env, append([]string{"--port", "0"}, args...)...)
}

// serveWith is serve on whatever port the settings say.
func serveWith(t *testing.T, env []string, args ...string) *served {
	t.Helper()
	return serveBy(t, program, env, args...)
}

// serveBy is serveWith by another program, which runs ours.
func serveBy(t *testing.T, program string, env []string, args ...string) *served {
	t.Helper()
	return start(t, program, env, append([]string{"serve", "--window", "300ms"}, args...)...)
}

// start starts a command that serves, and waits until it says where.
func start(t *testing.T, program string, env []string, args ...string) *served {
	t.Helper()
	cmd := command(t, args...)
	cmd.Path, cmd.Args[0] = program, program
	cmd.Env = append(cmd.Env, env...)
	errs, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	s := &served{t: t, cmd: cmd, read: make(chan struct{})}
	url := make(chan string, 1)
	go func() {
		defer close(s.read)
		defer close(url)
		for lines := bufio.NewScanner(errs); lines.Scan(); {
			s.mu.Lock()
			s.log.WriteString(lines.Text() + "\n")
			s.mu.Unlock()
			if found := regexp.MustCompile(`msg"?[=:]"?serving.*url"?[=:]"?(https?://[^ "]+)`).FindStringSubmatch(lines.Text()); found != nil {
				url <- found[1]
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // It may have ended.
		_ = cmd.Wait()         // As above.
	})
	select {
	case s.URL = <-url:
	case <-time.After(30 * time.Second):
	}
	require.NotEmpty(t, s.URL, "it does not serve: %s", s.Log())
	return s
}

func (s *served) Log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// end sends a signal and returns the exit code.
func (s *served) end(signal syscall.Signal) int {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(signal))
	<-s.read
	_ = s.cmd.Wait() // The code is what counts.
	return s.cmd.ProcessState.ExitCode()
}

// get returns status and body, or "" where the connection was dropped.
func (s *served) get(path string, header ...string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.URL+path, http.NoBody)
	require.NoError(s.t, err)
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	assert.NoError(s.t, err)
	return resp.StatusCode, string(body)
}

func TestServeInMemoryNeedsNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, "--fresh-start")
	assert.Regexp(t, `^http://127\.0\.0\.1:`, s.URL, "loopback, unless told otherwise")
	code, body := s.get("/?shard=0")
	assert.Equal(t, 200, code)
	assert.JSONEq(t, `{"message": "You're free to connect now! :)"}`, body)
	for path, want := range map[string]string{
		"/healthz":    "ok\n",
		"/readyz":     "ready\n",
		"/metrics":    "\ngatewayqueue_grants_total 1\n",
		"/dashboard":  "<title>gatewayqueue</title>",
		"/dashboard/": "<title>gatewayqueue</title>",
	} {
		code, body := s.get(path)
		assert.Equal(t, 200, code, path)
		assert.Contains(t, body, want, path)
	}
	_, metrics := s.get("/metrics")
	assert.Contains(t, metrics, "\ngatewayqueue_budget_remaining 999\n")
	assert.Zero(t, s.end(syscall.SIGTERM), s.Log())
	assert.Contains(t, s.Log(), "msg=stopped")
}

func TestAQueueThatStartsEmptyStaysClosedForAWindow(t *testing.T) {
	t.Parallel()
	start := time.Now()
	s := serve(t, nil, "--window", "1s", "--max-concurrency", "2")
	var both sync.WaitGroup
	for shard := range 2 {
		both.Go(func() {
			code, _ := s.get(fmt.Sprintf("/?shard=%d", shard))
			assert.Equal(t, 200, code)
			assert.GreaterOrEqual(t, time.Since(start), time.Second, "one before it may have granted a moment ago")
		})
	}
	both.Wait()
	_, metrics := s.get("/metrics")
	assert.Contains(t, metrics, "\ngatewayqueue_grants_total 2\n")
	assert.Contains(t, metrics, "\ngatewayqueue_budget_remaining 998\n", "the closed window costs nothing")
	assert.Contains(t, metrics, "\ngatewayqueue_budget_spent 2\n")
}

func TestEverythingFromTheEnvironment(t *testing.T) {
	t.Parallel()
	s := serve(t, []string{"HOST=localhost", "GATEWAYQUEUE_FRESH_START=true", "GATEWAYQUEUE_MAX_CONCURRENCY=3", "GATEWAYQUEUE_LOG=json"})
	_, metrics := s.get("/metrics")
	assert.Contains(t, metrics, "\ngatewayqueue_max_concurrency 3\n")
	for line := range strings.Lines(s.Log()) {
		assert.True(t, json.Valid([]byte(line)), line)
	}
	for env, want := range map[string]string{
		"PORT=http":                       `gatewayqueue serve: $PORT is "http": want a whole number from 0 to 65535`,
		"GATEWAYQUEUE_MAX_WAITERS=0":      `gatewayqueue serve: $GATEWAYQUEUE_MAX_WAITERS is "0": want a whole number from 1 to 1000000`,
		"GATEWAYQUEUE_NO_LEGACY=perhaps":  `gatewayqueue serve: $GATEWAYQUEUE_NO_LEGACY is "perhaps": want true or false`,
		"GATEWAYQUEUE_AUTH_TOKEN=sesame":  `gatewayqueue serve: the token that guards the server has 6 characters: want 16 or more, such as openssl rand -hex 24 makes`,
		"DISCORD_TOKEN_FILE=/no/such":     `gatewayqueue serve: --discord-token-file: open /no/such: no such file or directory`,
		"REDIS_URL=http://u:s3cret@h:1/0": `gatewayqueue serve: the Redis URL "...@h:1/0" is not one: it begins with none of these schemes; want ` + store.Forms,
	} {
		cmd := command(t, "serve")
		cmd.Env = append(cmd.Env, env)
		got := finish(t, cmd, func() {})
		assert.Equal(t, want+"\n", got.err, env)
		assert.NotZero(t, got.code)
	}
}

// discord answers GET /gateway/bot with what limit says.
func discord(t *testing.T, limit *atomic.Pointer[gatewayqueue.SessionStartLimit]) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := limit.Load()
		if r.Header.Get("Authorization") != "Bot "+botToken {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if now == nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"url": "wss://x", "shards": 4, "session_start_limit": now}) // It is read, or not.
	}))
	t.Cleanup(server.Close)
	return server.URL
}

const (
	botToken  = "MTIzNDU2Nzg5MDEyMzQ1Njc4.bot-t0ken-of-a-test"
	authToken = "4uth-t0ken-of-a-test-5f2a"
)

func TestLimitsAreDiscordsAndAreRefreshed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, where := range map[string][]string{"in memory": nil, "on Redis": {"--redis", "redis://" + server.Addr}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var limit atomic.Pointer[gatewayqueue.SessionStartLimit]
			limit.Store(&gatewayqueue.SessionStartLimit{Total: 2000, Remaining: 1500, ResetAfter: time.Hour, MaxConcurrency: 4})
			s := serve(t, []string{"DISCORD_TOKEN=Bot " + botToken},
				append(where, "--discord-api", discord(t, &limit), "--refresh", "1s", "--fresh-start")...)
			code, _ := s.get("/?shard=0")
			require.Equal(t, 200, code, s.Log())
			_, metrics := s.get("/metrics")
			assert.Contains(t, metrics, "\ngatewayqueue_max_concurrency 4\n")
			assert.Contains(t, metrics, "\ngatewayqueue_budget_remaining 1499\n")

			limit.Store(&gatewayqueue.SessionStartLimit{Total: 2000, Remaining: 1200, ResetAfter: time.Hour, MaxConcurrency: 8})
			require.Eventually(t, func() bool {
				_, _ = s.get("/?shard=0") // On Redis the limits are refreshed while somebody waits.
				_, metrics := s.get("/metrics")
				return strings.Contains(metrics, "\ngatewayqueue_max_concurrency 8\n")
			}, time.Minute, 100*time.Millisecond)
			_, metrics = s.get("/metrics")
			assert.Regexp(t, `\ngatewayqueue_budget_remaining 1(200|1\d\d)\n`, metrics, "what is spent past the queue counts")
		})
	}
}

func TestNotReadyWhileRedisIsAwayButHealthy(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := serve(t, nil, "--redis", "redis://"+server.Addr, "--fresh-start")
	code, _ := s.get("/?shard=0")
	require.Equal(t, 200, code)
	ready := func(want int, text string) {
		t.Helper()
		assert.Eventually(t, func() bool {
			code, body := s.get("/readyz")
			return code == want && body == text
		}, time.Minute, 50*time.Millisecond)
	}
	ready(200, "ready\n")
	server.Kill()
	ready(503, "not ready: the queue cannot be read\n")
	code, _ = s.get("/healthz")
	assert.Equal(t, 200, code, "a restart would not help")
	_, metrics := s.get("/metrics")
	assert.Contains(t, metrics, "\ngatewayqueue_status_up 0\n")
	server.Restart()
	ready(200, "ready\n")
}

func TestServersAndRedisStartInAnyOrderButWrongSettingsEnd(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "s3cret")
	got := run(t, "serve", "--port", "0", "--redis", "redis://:wr0ng@"+server.Addr)
	assert.Equal(t, 1, got.code)
	assert.Contains(t, got.err, "user or password in the URL are not this server's")
	assert.NotContains(t, got.err, "wr0ng")

	server.Kill()
	s := serve(t, nil, "--redis", "redis://:s3cret@"+server.Addr, "--fresh-start")
	assert.Contains(t, s.Log(), "Redis is away: nothing is granted until it answers")
	answered := make(chan int, 1)
	go func() {
		code, _ := s.get("/?shard=0")
		answered <- code
	}()
	time.Sleep(300 * time.Millisecond)
	assert.Empty(t, answered, "nothing is granted without Redis")
	server.Restart()
	select {
	case code := <-answered:
		assert.Equal(t, 200, code)
	case <-time.After(20 * time.Second):
		assert.Fail(t, "not granted", s.Log())
	}
}

func TestShutdownSendsWaitersElsewhereAndItsPlacesCountNoMore(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	one := serve(t, nil, "--redis", "redis://"+server.Addr, "--window", "30s", "--fresh-start", "--drain", "3s")
	code, _ := one.get("/?shard=0")
	require.Equal(t, 200, code)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	dropped := make(chan error, 3)
	for shard := range 3 {
		go func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s/?shard=%d", one.URL, shard), http.NoBody)
			if err != nil {
				dropped <- err
				return
			}
			resp, err := http.DefaultClient.Do(req)
			if err == nil {
				resp.Body.Close()
			}
			dropped <- err
		}()
	}
	require.Eventually(t, func() bool { return client.ZCard(t.Context(), "identify:{default}:queue:0").Val() == 3 }, time.Minute, 10*time.Millisecond)
	require.NoError(t, one.cmd.Process.Signal(syscall.SIGTERM))
	assert.Eventually(t, func() bool {
		_, body := one.get("/readyz")
		return body == "not ready: stopping\n"
	}, time.Minute, 5*time.Millisecond, "be found no more first")
	<-one.read
	_ = one.cmd.Wait() // The code is what counts.
	assert.Zero(t, one.cmd.ProcessState.ExitCode(), one.Log())
	for range 3 {
		assert.Error(t, <-dropped, "anything else would be permission")
	}
	assert.Zero(t, client.ZCard(t.Context(), "identify:{default}:pods").Val(), "no place of a server that is gone counts")
}

func TestTheTokenGuardsWhatOperatorsSee(t *testing.T) {
	t.Parallel()
	s := serve(t, []string{"GATEWAYQUEUE_AUTH_TOKEN=" + authToken}, "--fresh-start")
	for _, path := range []string{"/metrics", "/dashboard", "/dashboard/events", "/v1/status"} {
		code, body := s.get(path)
		assert.Equal(t, 401, code, path)
		assert.NotContains(t, body, authToken)
		code, _ = s.get(path, "Authorization", "Bearer wrong")
		assert.Equal(t, 401, code, path)
		if path != "/dashboard/events" { // which does not end
			code, _ = s.get(path, "Authorization", "Bearer "+authToken)
			assert.Equal(t, 200, code, path)
		}
	}
	req := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	req.SetBasicAuth("anybody", authToken)
	code, _ := s.get("/dashboard", "Authorization", req.Header.Get("Authorization"))
	assert.Equal(t, 200, code, "what a browser can send")
	for _, path := range []string{"/healthz", "/readyz", "/?shard=0"} {
		code, _ = s.get(path)
		assert.Equal(t, 200, code, path)
	}
}

func TestNoSecretIsToldToAnybody(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "r3dis-passw0rd")
	client := server.Client(t, func(o *redis.Options) { o.Password = "r3dis-passw0rd" })
	var limit atomic.Pointer[gatewayqueue.SessionStartLimit]
	limit.Store(&gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 900, ResetAfter: time.Hour, MaxConcurrency: 1})
	s := serve(t, []string{"DISCORD_TOKEN=" + botToken, "GATEWAYQUEUE_AUTH_TOKEN=" + authToken, "REDIS_URL=redis://:r3dis-passw0rd@" + server.Addr},
		"--discord-api", discord(t, &limit), "--log-level", "debug", "--fresh-start", "--refresh", "1s")
	var said strings.Builder
	look := func() {
		for _, path := range []string{"/?shard=0&token=x", "/metrics", "/dashboard", "/readyz", "/healthz", "/v1/status", "/v1/nothing", "/v1/limits"} {
			for _, given := range []string{"Bearer " + authToken, "Bearer wrong", ""} {
				_, body := s.get(path, "Authorization", given)
				said.WriteString(body)
			}
		}
	}
	look()
	limit.Store(nil) // Discord has trouble
	require.NoError(t, client.Set(t.Context(), "identify:{default}:pods", "wrong type", 0).Err())
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/?shard=1", http.NoBody)
	require.NoError(t, err)
	if resp, err := http.DefaultClient.Do(req); err == nil {
		resp.Body.Close()
	}
	require.NoError(t, client.Del(t.Context(), "identify:{default}:pods").Err())
	kept := dump(t, client)
	server.Kill()
	for _, path := range []string{"/metrics", "/readyz", "/v1/status"} {
		_, body := s.get(path, "Authorization", "Bearer "+authToken)
		said.WriteString(body)
	}
	s.end(syscall.SIGTERM)
	for where, text := range map[string]string{"answers": said.String(), "the log": s.Log(), "Redis": kept} {
		for _, secret := range []string{"t0ken", "passw0rd"} {
			assert.NotContains(t, text, secret, where)
		}
	}
	assert.NotEmpty(t, kept)
}

// dump is every key and value.
func dump(t *testing.T, client *redis.Client) string {
	t.Helper()
	var all strings.Builder
	for _, key := range client.Keys(t.Context(), "*").Val() {
		value, err := client.Dump(t.Context(), key).Result()
		require.NoError(t, err)
		all.WriteString(key + " " + value + "\n")
	}
	return all.String()
}
