package redisqueue_test

// What README.md, docs/library.md and docs/keys.md say, run: their Go compiles here,
// their redis-cli commands answer as printed.

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

func readmeWait(ctx context.Context, queue gatewayqueue.Queue, shardID int) error {
	if err := queue.Wait(ctx, shardID); err != nil {
		return err // says why it has waited; nothing was spent
	}
	// send IDENTIFY now
	return nil
}

func readmeQueue(ctx context.Context, client redis.Scripter, shardID int, dial, identify func(context.Context) error) error {
	queue, err := redisqueue.New(client, // one for the process
		redisqueue.WithApp("1234567890"), // your application ID
		redisqueue.WithLimitSource(redisqueue.DiscordLimits(nil, os.Getenv("DISCORD_TOKEN"))))
	if err != nil {
		return err // it names the setting that is wrong
	}
	defer queue.Close()
	return gatewayqueue.Identify(ctx, queue, shardID, dial, identify) // waits for its turn before it identifies
}

// blocks returns a page's code blocks of a language, each as its lines
// without indentation.
func blocks(t *testing.T, path, language string) [][]string {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer file.Close()
	var all [][]string
	inside := false
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "```"+language:
			inside, all = true, append(all, nil)
		case line == "```":
			inside = false
		case inside && line != "":
			all[len(all)-1] = append(all[len(all)-1], line)
		}
	}
	return all
}

// shown checks that each of a page's blocks of Go is somewhere in these files,
// which are compiled.
func shown(t *testing.T, page string, files ...string) {
	t.Helper()
	var here strings.Builder
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(source)) {
			if line = strings.Join(strings.Fields(line), " "); line != "" {
				here.WriteString(line + "\n")
			}
		}
	}
	found := blocks(t, page, "go")
	require.NotEmpty(t, found)
	for _, block := range found {
		for i, line := range block {
			block[i] = strings.Join(strings.Fields(line), " ")
		}
		assert.Contains(t, here.String(), strings.Join(block, "\n"), "the same must be in one of %v", files)
	}
}

// The program is of a module of its own, examples, which runs its loop.
func TestTheReadmesCodeCompiles(t *testing.T) {
	_, _ = readmeWait, readmeQueue
	for _, page := range []string{"../README.md", "../docs/library.md"} {
		shown(t, page, "readme_test.go", "../examples/first/main.go")
	}
}

func TestTheReadmesRedisCLICommandsAnswerAsPrinted(t *testing.T) {
	server := redistest.Start(t)
	cli := redisCLI(t)
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 987, ResetAfter: 14 * time.Hour, MaxConcurrency: 2}
	open := func(pod string) *redisqueue.RedisQueue {
		q, err := redisqueue.New(server.Client(t), redisqueue.WithApp("1234567890"), redisqueue.WithPod(pod),
			redisqueue.WithFreshStart(), redisqueue.WithLimit(limit),
			redisqueue.WithWindow(30*time.Second)) // redis-cli starts many times within it, also on a busy machine
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, q.Close()) })
		return q
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	web1, web2 := open("web-1"), open("web-2")
	require.NoError(t, web1.Wait(ctx, 0))
	_, err := web2.Acquire(ctx, 3)
	require.NoError(t, err)
	for i, shard := range []int{6, 4} {
		go func() { _ = web1.Wait(ctx, shard) }()
		require.Eventually(t, func() bool {
			status, err := web1.Status(ctx)
			return err == nil && status.Waiting() == i+1
		}, 10*time.Second, 10*time.Millisecond)
		time.Sleep(2 * time.Millisecond) // in one millisecond, the lower shard would stand first
	}

	readme, page := blocks(t, "../README.md", "console"), blocks(t, "../docs/keys.md", "console")
	require.NotEmpty(t, readme)
	require.NotEmpty(t, page)
	for _, console := range append(readme, page...) {
		for i := 0; i < len(console); {
			command, isCommand := strings.CutPrefix(console[i], "$ redis-cli ")
			require.True(t, isCommand, console[i])
			var want []string
			for i++; i < len(console) && !strings.HasPrefix(console[i], "$ "); i++ {
				want = append(want, shape(console[i]))
			}
			out, err := exec.Command("bash", "-c", cli+" -p "+strconv.Itoa(server.Port)+" "+command).CombinedOutput()
			require.NoError(t, err, "%s: %s", command, out)
			var got []string
			for line := range strings.Lines(string(out)) {
				got = append(got, shape(strings.TrimSpace(line)))
			}
			if strings.HasPrefix(command, "--scan") {
				assert.ElementsMatch(t, want, got, command)
			} else {
				assert.Equal(t, want, got, command)
			}
		}
	}
}

// redisCLI is redis-cli, or the client that scripts/redis has unpacked beside the
// server.
func redisCLI(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("redis-cli"); err == nil {
		return path
	}
	if path := filepath.Join(filepath.Dir(redistest.Default(t).Path), "cli"); exec.Command(path, "--version").Run() == nil {
		return path
	}
	if os.Getenv("CI") != "" {
		t.Fatal("CI must have a redis-cli")
	}
	t.Skip("no redis-cli: Debian's package is redis-tools")
	return ""
}

var (
	tail   = regexp.MustCompile(`[0-9a-f]{8}#`)
	number = regexp.MustCompile(`^[0-9]{4,}$`)
)

// shape makes lines alike that differ only in random names and in figures of
// the moment.
func shape(line string) string {
	return number.ReplaceAllString(tail.ReplaceAllString(line, "tail#"), "9999")
}
