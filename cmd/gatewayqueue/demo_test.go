package main_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// quick is a demo of a few seconds: windows of 300 ms, with a margin that a busy machine
// does not eat up, also where processes have just started.
func quick(args ...string) []string {
	margin := "300ms"
	if slices.Contains(args, "--processes") {
		margin = "1s"
	}
	return append([]string{"demo", "--window", "300ms", "--margin", margin}, args...)
}

// figure is a line of the summary.
func figure(t *testing.T, r result, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^ +` + name + `  (.*)$`).FindStringSubmatch(r.out)
	require.NotNil(t, found, "no %q in:\n%s%s", name, r.out, r.err)
	return found[1]
}

// assertAllUp wants 16 shards up, as the judge would have it.
func assertAllUp(t *testing.T, r result) {
	t.Helper()
	assert.Zero(t, r.code, r.out+r.err)
	assert.Empty(t, r.err)
	assert.Equal(t, "16 of 16", figure(t, r, "shards up"))
	assert.Equal(t, "0", figure(t, r, "violations"))
	assert.Equal(t, "0", figure(t, r, "over budget"))
	assert.NotContains(t, r.out, "\x1b", "no colours where there is no terminal")
	for _, n := range []string{" 1 of 16 up", " 16 of 16 up"} {
		assert.Contains(t, r.out, n)
	}
}

func TestDemoBringsAllShardsUp(t *testing.T) {
	t.Parallel()
	got := run(t, quick()...)
	assertAllUp(t, got)
	assert.Equal(t, "1000 before, 984 after, reserve 0", figure(t, got, "budget"))
	assert.Equal(t, "pod-1 4, pod-2 4, pod-3 4, pod-4 4", figure(t, got, "grants per pod"))
	assert.Contains(t, got.out, "gatewayqueue status --watch --redis redis://127.0.0.1:")
	assert.NotRegexp(t, `[│─█░╭]`, got.out, "plain where there is no terminal")
}

func TestDemoOfProcesses(t *testing.T) {
	t.Parallel()
	got := run(t, quick("--processes")...)
	assertAllUp(t, got)
	assert.Equal(t, "1000 before, 984 after, reserve 0", figure(t, got, "budget"))
	assert.Equal(t, "pod-1 4, pod-2 4, pod-3 4, pod-4 4", figure(t, got, "grants per pod"))
}

func TestDemoWithPermits(t *testing.T) {
	t.Parallel()
	got := run(t, quick("--mode", "acquire", "--dial", "30ms", "--processes")...)
	assertAllUp(t, got)
	assert.Contains(t, figure(t, got, "least gap"), "window 0.30 s")
}

func TestKilledPodIsReplaced(t *testing.T) {
	t.Parallel()
	for name, how := range map[string][]string{
		"cut off, no Close": {"--kill-pod"},
		"SIGKILL":           {"--kill-pod", "--processes"},
	} {
		got := run(t, quick(how...)...)
		assertAllUp(t, got)
		assert.Regexp(t, `killed pod-\d \(`+name+`\) with \d of its 4 shards up`, got.out)
		assert.Regexp(t, `pod-\db has taken over, and queues for shards \d+`, got.out)
		assert.Regexp(t, `^pod-\d at \d\.\d+ s, pod-\db took over at`, figure(t, got, "killed"))
	}
}

func TestViolationsExit1(t *testing.T) {
	t.Parallel()
	got := run(t, quick("--mode", "wait", "--dial", "200ms", "--shards", "32")...)
	assert.Equal(t, 1, got.code)
	assert.Contains(t, got.out, "REFUSED by the judge: only ")
	assert.Regexp(t, `^\d+, the worst \d+ms too early$`, figure(t, got, "violations"))
	assert.Regexp(t, `^gatewayqueue demo: \d+ violations? of the window\n$`, got.err)
}

func TestBudgetThatDoesNotLastIsKept(t *testing.T) {
	t.Parallel()
	got := run(t, quick("--remaining", "6", "--total", "10")...)
	assert.Zero(t, got.code, got.err)
	var up, waiting, after int
	_, err := fmt.Sscanf(figure(t, got, "shards up"), "%d of 16, %d must wait for the budget's reset", &up, &waiting)
	require.NoError(t, err)
	_, err = fmt.Sscanf(figure(t, got, "budget"), "6 before, %d after", &after)
	require.NoError(t, err)
	assert.Positive(t, up)
	assert.Equal(t, 6, up+after, "each unit was spent on one shard, or not at all")
	assert.Equal(t, 16, up+waiting)
	assert.Equal(t, "0", figure(t, got, "over budget"))
	assert.Contains(t, got.out, "must wait for the reset: the budget is exhausted")
	assert.Contains(t, got.out, "The budget is short: 6 left for 16 shards: 10 will wait until the reset.")
}

func TestPlots(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "timeline.svg")
	got := run(t, quick("--kill-pod", "--plot", file)...)
	require.Zero(t, got.code, got.err)
	assert.Contains(t, got.out, "The timeline is in "+file+".")
	drawn, err := os.ReadFile(file)
	require.NoError(t, err)
	for read := xml.NewDecoder(bytes.NewReader(drawn)); !errors.Is(err, io.EOF); {
		_, err = read.Token()
		require.True(t, err == nil || errors.Is(err, io.EOF), "not XML: %v", err)
	}
	assert.Contains(t, string(drawn), "16 of 16 shards up through 4 buckets")
	assert.Contains(t, string(drawn), " killed")
}

func TestInterruptedDemoExits130AndLeavesNoKeys(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	for _, how := range [][]string{{}, {"--processes"}} {
		cmd := command(t, append([]string{"demo", "--redis", "redis://" + server.Addr}, how...)...)
		got := finish(t, cmd, func() {
			awaitQueue(t, client)
			require.NoError(t, cmd.Process.Signal(os.Interrupt))
		})
		assert.Equal(t, 130, got.code)
		assert.Equal(t, "gatewayqueue demo: stopped (interrupt)\n", got.err)
		assert.NotContains(t, got.out, "gave up")
		assert.Zero(t, client.DBSize(t.Context()).Val())
	}
	cmd := command(t, "demo", "--redis", "redis://"+server.Addr)
	got := finish(t, cmd, func() {
		awaitQueue(t, client)
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	})
	assert.Equal(t, 143, got.code)
}

// awaitQueue returns when a demo has identified.
func awaitQueue(t *testing.T, client *redis.Client) {
	t.Helper()
	require.Eventually(t, func() bool {
		keys, err := client.Keys(t.Context(), "identify:{*}:slot:*").Result()
		return err == nil && len(keys) > 0
	}, time.Minute, 10*time.Millisecond)
}

func TestDemoOnARealServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "s3cret")
	client := server.Client(t, func(o *redis.Options) { o.Password = "s3cret" })
	url := "redis://:s3cret@" + server.Addr

	got := run(t, quick("--redis", url, "--processes", "--kill-pod")...)
	assertAllUp(t, got)
	assert.NotContains(t, got.out, "s3cret")
	assert.Zero(t, client.DBSize(t.Context()).Val(), "the keys are removed")

	got = run(t, quick("--redis", url, "--app", "mine", "--keep", "--shards", "4")...)
	require.Zero(t, got.code, got.err)
	assert.Contains(t, got.out, "The demo's keys are kept")
	assert.Positive(t, client.DBSize(t.Context()).Val())

	got = run(t, quick("--redis", url, "--app", "mine")...)
	assert.Equal(t, 1, got.code, "a queue that is there already is not touched")
	assert.Contains(t, got.err, "application mine has keys in Redis at redis://...@"+server.Addr+" already")
	assert.Equal(t, 1, strings.Count(got.err, "\n"))

	got = run(t, "demo", "--redis", "redis://:wr0ng@"+server.Addr)
	assert.Equal(t, 1, got.code)
	assert.Contains(t, got.err, "user or password in the URL are not this server's")
	assert.NotContains(t, got.err, "wr0ng")
}

func TestDemoOutlivesItsRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t) // it saves nothing
	client := server.Client(t)
	cmd := command(t, quick("--redis", "redis://"+server.Addr)...)
	got := finish(t, cmd, func() {
		awaitQueue(t, client)
		time.Sleep(200 * time.Millisecond) // two beats: a pod that is done may be all who knows what it spent
		server.Kill()
		time.Sleep(time.Second) // for longer than the demo would have taken: it has to wait
		server.Restart()
	})
	assertAllUp(t, got)
	assert.Contains(t, got.out, "Redis is away: ")
	assert.Contains(t, got.out, "Redis is back")
	assert.Equal(t, "1000 before, 984 after, reserve 0", figure(t, got, "budget"), "the state was lost, the count was not")
}
