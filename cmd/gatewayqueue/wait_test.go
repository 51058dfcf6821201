package main_test

import (
	"os"
	"strings"
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
		assert.Regexp(t, `^gatewayqueue wait: shard \d may identify, after \d.*\n$`, got.err)

		got = run(t, append([]string{"wait", "--quiet", "--shard", []string{"", "11", "12", "13"}[shard]}, where...)...)
		if name != "Redis" { // its one bucket is closed for a while: that is tested below
			assert.Equal(t, result{}, got, name)
		}
	}
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
		}, 10*time.Second, 10*time.Millisecond)
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
		time.Sleep(300 * time.Millisecond)
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
