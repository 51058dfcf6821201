package main_test

import (
	"bytes"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// places are where wait finds a queue: a server of ours, an old one, and Redis.
func places(t *testing.T) map[string][]string {
	t.Helper()
	s := serve(t, nil, "--fresh-start", "--max-concurrency", "64")
	return map[string][]string{
		"server":        {"--url", s.URL},
		"gateway-queue": {"--url", s.URL, "--legacy"},
		"Redis":         {"--redis", "redis://" + redistest.Start(t).Addr},
	}
}

func TestWaitBecomesTheCommand(t *testing.T) {
	t.Parallel()
	shard := 0
	for name, where := range places(t) {
		shard++
		args := append([]string{"wait", "--shard", []string{"", "1", "2", "3"}[shard]}, where...)
		got := run(t, append(args, "--", "sh", "-c", `echo "$GATEWAYQUEUE_SHARD $*"; exit 7`, "bot", "--x")...)
		assert.Equal(t, 7, got.code, "%s: %s", name, got.err)
		assert.Equal(t, []string{"", "1", "2", "3"}[shard]+" --x\n", got.out, name)
		assert.Regexp(t, `^(gatewayqueue wait: not granted yet: .*\n)*gatewayqueue wait: shard \d may identify, after \d.*\n$`, got.err)
		assert.Equal(t, name == "Redis", strings.Contains(got.err, "not granted yet: every bucket is held closed: Redis had no queue"), "why it waits: %s", got.err)

		got = run(t, append([]string{"wait", "--quiet", "--shard", []string{"", "11", "12", "13"}[shard]}, where...)...)
		if name != "Redis" { // its one bucket is closed for a while: that is tested below
			assert.Equal(t, result{}, got, name)
		}
	}
}

func TestWait_TheCommandGetsNoSettingsOfOurs(t *testing.T) {
	t.Parallel()
	s := serve(t, []string{"GATEWAYQUEUE_AUTH_TOKEN=0123456789abcdef"}, "--fresh-start")
	cmd := command(t, "wait", "--quiet", "--", "env")
	cmd.Env = append(cmd.Env, "GATEWAYQUEUE_AUTH_TOKEN=0123456789abcdef", "GATEWAYQUEUE_URL="+s.URL, "GATEWAYQUEUE_SHARD=0", "GATEWAYQUEUE_NO_FLAG=x",
		"DISCORD_TOKEN=a.bot.token", "REDIS_URL=redis://127.0.0.1:1")
	got := finish(t, cmd, func() {})
	require.Zero(t, got.code, got.err)
	var left []string
	for _, variable := range strings.Split(got.out, "\n") {
		if name, _, _ := strings.Cut(variable, "_"); slices.Contains([]string{"GATEWAYQUEUE", "DISCORD", "REDIS"}, name) {
			left = append(left, variable)
		}
	}
	assert.ElementsMatch(t, []string{"GATEWAYQUEUE_SHARD=0", "DISCORD_TOKEN=a.bot.token", "REDIS_URL=redis://127.0.0.1:1"}, left)
}

func TestWaitPassesSignalsToTheCommand(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, "--fresh-start")
	started := t.TempDir() + "/started"
	cmd := command(t, "wait", "--shard", "0", "--url", s.URL, "--", "sh", "-c", `trap 'exit 9' TERM; : > "$0"; while :; do sleep 0.05; done`, started)
	got := finish(t, cmd, func() {
		require.Eventually(t, func() bool {
			_, err := os.Stat(started)
			return err == nil
		}, time.Minute, 10*time.Millisecond)
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	})
	assert.Equal(t, 9, got.code, "its own answer to the signal")
}

func TestWaitThatIsTooLongExits124AndSpendsNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	s := serve(t, nil, "--fresh-start", "--window", "50s")
	ours := serve(t, nil, "--redis", "redis://"+server.Addr, "--fresh-start", "--window", "50s")
	for _, of := range []*served{s, ours} {
		code, _ := of.get("/?shard=0")
		require.Equal(t, 200, code)
	}
	left := client.Get(t.Context(), "identify:{default}:remaining").Val()
	for name, where := range map[string][]string{
		"server": {"--url", s.URL}, "gateway-queue": {"--url", s.URL, "--legacy"}, "Redis": {"--redis", "redis://" + server.Addr},
	} {
		got := run(t, append([]string{"wait", "--shard", "1", "--timeout", "300ms"}, append(where, "--", "touch", "/no/such/file")...)...)
		assert.Equal(t, 124, got.code, "%s: %s", name, got.err)
		assert.Contains(t, got.err, "within 300ms", name)
		assert.Equal(t, 1, strings.Count(got.err, "\n"), got.err)
	}
	assert.Equal(t, left, client.Get(t.Context(), "identify:{default}:remaining").Val())

	cmd := command(t, "wait", "--shard", "1", "--url", s.URL)
	got := finish(t, cmd, func() {
		require.Eventually(t, func() bool {
			_, status := s.get("/v1/status")
			return strings.Contains(status, `"waiting":1`)
		}, time.Minute, 10*time.Millisecond, "it stands in line")
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	})
	assert.Equal(t, result{"", "gatewayqueue wait: stopped (terminated)\n", 143}, got)
}

func TestWaitRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "s3cret")
	got := run(t, "wait", "--shard", "0", "--redis", "redis://:wr0ng@"+server.Addr)
	assert.Equal(t, 125, got.code)
	assert.Contains(t, got.err, "WRONGPASS")
	assert.NotContains(t, got.err, "wr0ng")

	got = run(t, "wait", "--shard", "0", "--", "no-such-command")
	assert.Equal(t, 127, got.code, "known before waiting, with no server there")
	assert.Contains(t, got.err, "executable file not found")

	s := serve(t, []string{"GATEWAYQUEUE_AUTH_TOKEN=" + authToken}, "--fresh-start")
	got = run(t, "wait", "--shard", "0", "--url", s.URL)
	assert.Equal(t, 125, got.code, got.err)
	assert.Contains(t, got.err, "401")
	cmd := command(t, "wait", "--url", s.URL)
	cmd.Env = append(cmd.Env, "GATEWAYQUEUE_AUTH_TOKEN="+authToken, "GATEWAYQUEUE_SHARD=0", "REDIS_URL=redis://127.0.0.1:1")
	got = finish(t, cmd, func() {})
	assert.Zero(t, got.code, got.err)
	assert.NotContains(t, got.err, authToken)
}

// Whatever lies between the grant and the command makes the grant older: it must
// not talk to Redis there, which may answer no more.
func TestWait_NothingLiesBetweenTheGrantAndTheCommand(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	hole := newHole(t, server.Addr, "granted")
	got := run(t, "wait", "--quiet", "--shard", "0", "--redis", "redis://"+hole.addr, "--", "echo", "here")
	assert.Equal(t, result{"here\n", "", 0}, got)
	assert.Zero(t, hole.after.Load(), "bytes that were sent to Redis after the grant")
	got = run(t, "wait", "--quiet", "--shard", "1", "--timeout", "1s", "--redis", "redis://"+server.Addr)
	assert.Equal(t, 124, got.code, "the slot is still the first one's: %s", got.err)
}

// hole is a way to a server that swallows everything from the moment at which
// the server has said a word; that still comes through.
type hole struct {
	addr  string
	word  []byte
	open  atomic.Bool
	after atomic.Int64
}

func newHole(t *testing.T, server, word string) *hole {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() }) // It may be closed.
	h := &hole{addr: listener.Addr().String(), word: []byte(word)}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close() // The test sees that.
				continue
			}
			go h.pump(upstream, client, false)
			go h.pump(client, upstream, true)
		}
	}()
	return h
}

func (h *hole) pump(to, from net.Conn, replies bool) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		switch {
		case err != nil:
			_ = to.Close()
			return
		case h.open.Load() && !replies:
			h.after.Add(int64(n))
			continue
		case h.open.Load():
			continue
		case replies && bytes.Contains(buffer[:n], h.word):
			h.open.Store(true)
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func TestWait_SignalsWhileItWaits(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	for name, c := range map[string]struct {
		signals []syscall.Signal
		stays   bool
		code    int
		says    string
	}{
		"SIGHUP":                {[]syscall.Signal{syscall.SIGHUP, syscall.SIGHUP}, true, 143, "SIGHUP: it keeps its place"},
		"SIGPIPE":               {[]syscall.Signal{syscall.SIGPIPE}, true, 143, ""},
		"SIGTERM":               {[]syscall.Signal{syscall.SIGTERM}, false, 143, "stopped (terminated)\n"},
		"SIGINT":                {[]syscall.Signal{syscall.SIGINT}, false, 130, "stopped (interrupt)\n"},
		"stopped and continued": {[]syscall.Signal{syscall.SIGTSTP, syscall.SIGCONT}, true, 143, ""},
	} {
		t.Run(name, func(t *testing.T) {
			app := strings.ReplaceAll(name, " ", "-")
			line := func() []string { return client.ZRange(t.Context(), "identify:{"+app+"}:queue:0", 0, -1).Val() }
			cmd := command(t, "wait", "--shard", "1", "--redis", "redis://"+server.Addr, "--app", app, "--", "false")
			got := finish(t, cmd, func() {
				require.Eventually(t, func() bool { return len(line()) == 1 }, time.Minute, 10*time.Millisecond)
				closed := strconv.FormatInt(time.Now().Add(time.Hour).UnixMilli(), 10)
				require.NoError(t, client.HSet(t.Context(), "identify:{"+app+"}:limits", "closed_until", closed).Err())
				place := line()
				for _, s := range c.signals {
					require.NoError(t, cmd.Process.Signal(s))
					time.Sleep(100 * time.Millisecond)
				}
				if !c.stays {
					return
				}
				time.Sleep(300 * time.Millisecond)
				assert.Equal(t, place, line(), "its place")
				require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
			})
			assert.Equal(t, c.code, got.code, got.err)
			assert.Contains(t, got.err, c.says)
			assert.Equal(t, "1000", client.Get(t.Context(), "identify:{"+app+"}:remaining").Val(), "it has spent nothing")
		})
	}
}

// Whose standard error nobody reads any more is not ended by what it says.
func TestWait_StandardErrorThatIsClosed(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, "--fresh-start")
	read, write, err := os.Pipe()
	require.NoError(t, err)
	cmd := command(t, "wait", "--shard", "0", "--url", s.URL, "--", "sh", "-c", "exit 7")
	cmd.Stderr = write
	require.NoError(t, cmd.Start())
	require.NoError(t, write.Close())
	require.NoError(t, read.Close())
	_ = cmd.Wait() // The code is what counts.
	assert.Equal(t, 7, cmd.ProcessState.ExitCode())
}

// With --replicas nothing is granted that no replica has.
func TestWait_ReplicasThatAreAskedFor(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t, 1)
	url := "redis-sentinel://" + strings.Join(sentinel.Addrs, ",") + "/mymaster"
	for _, row := range []struct {
		replicas, timeout string
		code              int
		err               string
	}{
		{"1", "1m", 0, "shard 1 may identify"},
		{"2", "10s", 124, "NOREPLICAS 1 of 2"},
	} {
		queueOf(t, sentinel.Master(t), row.replicas, 0) // shard 1 has a bucket of its own
		got := run(t, "wait", "--shard", "1", "--app", row.replicas, "--redis", url, "--replicas", row.replicas, "--timeout", row.timeout)
		assert.Equal(t, row.code, got.code, got.err)
		assert.Contains(t, got.err, row.err)
	}
}

func TestWait_SaysInWordsOfAShellWhyItIsTooLate(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, "--fresh-start", "--max-concurrency", "4", "--window", "50s")
	code, _ := s.get("/?shard=3")
	require.Equal(t, 200, code)
	got := run(t, "wait", "--shard", "3", "--url", s.URL, "--timeout", "1s")
	assert.Equal(t, 124, got.code)
	assert.Regexp(t, `^gatewayqueue wait: not within 1s: bucket 3 opens in \d+\.\d s \(nothing was spent; without --timeout it waits for its turn\)\n$`, got.err)
	assert.NotContains(t, got.err, "context")
	got = run(t, "wait", "--shard", "0", "--url", "http://127.0.0.1:1", "--timeout", "300ms")
	assert.Equal(t, 124, got.code)
	assert.Contains(t, got.err, "not within 300ms: server at http://127.0.0.1:1: nothing listens there: start gatewayqueue serve, or correct --url")
}

// A wait with nothing but defaults agrees with servers that have nothing but defaults.
func TestWait_ByDefaultChangesNothingForServers(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client, url := server.Client(t), "redis://"+server.Addr
	s := start(t, program, nil, "serve", "--port", "0", "--redis", url, "--app", "a", "--fresh-start", "--max-concurrency", "2")
	code, text := s.get("/?shard=0")
	require.Equal(t, 200, code, text)
	agreed := func() (all []string) {
		for _, field := range []string{"window", "grace", "pod_lease", "replicas"} {
			value, _, _ := strings.Cut(client.HGet(t.Context(), "identify:{a}:limits", field).Val(), "@")
			all = append(all, field+" "+value)
		}
		return all
	}
	before := agreed()
	require.Contains(t, before, "window 5000")
	got := run(t, "wait", "--shard", "1", "--redis", url, "--app", "a")
	require.Zero(t, got.code, got.err)
	assert.Equal(t, before, agreed())
	code, text = s.get("/?shard=1")
	require.Equal(t, 200, code, text)
	assert.NotContains(t, s.Log(), "other pods")
}
