// The page tells the truth: what a browser shows of the built server, read ten times a
// second, beside the queue's own Status, while pods dial, are killed and are replaced.

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/child"
	"github.com/gatewayqueue/gatewayqueue/internal/citest"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// The bot: pagePods pods with pagePodShards shards each.
const (
	pagePod       = "GATEWAYQUEUE_TEST_PAGE_POD" // makes the test binary a pod: FIRST SHARD, and the address of Redis
	pagePods      = 3
	pagePodShards = 8
	pageShards    = pagePods * pagePodShards
	pageBuckets   = 4
	pageWindow    = 2 * time.Second
	pageApp       = "4242"
)

func pageQueue(client redis.Scripter, more ...redisqueue.Option) (*redisqueue.RedisQueue, error) {
	limit := gatewayqueue.DefaultLimit()
	limit.MaxConcurrency = pageBuckets
	return redisqueue.New(client, append([]redisqueue.Option{
		redisqueue.WithApp(pageApp), redisqueue.WithLimit(limit), redisqueue.WithWindow(pageWindow), redisqueue.WithFreshStart(),
	}, more...)...)
}

// bePagePod brings its shards up, each with a dial of its own length, until SIGTERM.
func bePagePod(how string) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	text, addr, _ := strings.Cut(how, " ")
	first, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	client := redis.NewClient(&redis.Options{Addr: addr})
	queue, err := pageQueue(client, redisqueue.WithPod("pod-"+text))
	if err != nil {
		panic(err)
	}
	var shards sync.WaitGroup
	for shard := first; shard < first+pagePodShards; shard++ {
		shards.Go(func() {
			permit, err := queue.Acquire(ctx, shard)
			if err != nil {
				return // it ends
			}
			select {
			case <-time.After(time.Duration(300+shard%5*300) * time.Millisecond):
				_ = permit.Identified(ctx) // Else the permit lapses.
			case <-ctx.Done():
				_ = permit.Abandon(context.WithoutCancel(ctx)) // As above.
			}
		})
	}
	<-ctx.Done()
	shards.Wait()
	_ = queue.Close() // The process ends.
	_ = client.Close()
}

func startPagePod(t *testing.T, first int, addr string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %s", pagePod, first, addr))
	require.NoError(t, child.Start(cmd))
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // It may have ended.
		_ = cmd.Wait()         // As above.
	})
	return cmd
}

// reading is what the page shows at one moment.
type reading struct {
	Seen                int64 // when the queue was so, by its own clock
	Fleet, Waiting, Old string
	Buckets             []struct {
		ID         int
		Slot, Line string
	}
	Pods []string
}

func TestPage_TellsTheTruthAtEveryInstant(t *testing.T) {
	t.Parallel()
	node, chromium := citest.Browser(t)
	server := redistest.Start(t)
	s := serve(t, nil, "--redis", "redis://"+server.Addr, "--app", pageApp, "--window", pageWindow.String(),
		"--max-concurrency", strconv.Itoa(pageBuckets), "--fresh-start")

	cmd := exec.CommandContext(t.Context(), node, "page.cjs", s.URL, chromium)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	answers := bufio.NewReader(output)
	line, err := answers.ReadString('\n')
	require.NoError(t, err, "%s", &complaint)
	require.Equal(t, "reading /dashboard\n", line, "/ leads a browser to the page")

	ctx, stop := context.WithCancel(t.Context())
	samples := make(chan []gatewayqueue.Status, 1)
	client := server.Client(t)
	go func() { samples <- sample(ctx, t, client) }()

	pods := make([]*exec.Cmd, pagePods)
	for i := range pods {
		pods[i] = startPagePod(t, i*pagePodShards, server.Addr)
	}
	time.Sleep(3 * time.Second)
	const last = pagePods - 1 // its shards came last, so they wait still: twice, until the lease ends
	require.NoError(t, pods[last].Process.Kill())
	startPagePod(t, last*pagePodShards, server.Addr) // as an orchestrator would
	time.Sleep(5 * time.Second)
	require.NoError(t, pods[1].Process.Signal(syscall.SIGTERM))
	startPagePod(t, pagePodShards, server.Addr)
	time.Sleep(4 * time.Second)
	stop()
	truth := <-samples
	_, err = io.WriteString(input, "end\n")
	require.NoError(t, err)
	var seen struct {
		Complaints []string
		Readings   []reading
	}
	require.NoError(t, json.NewDecoder(answers).Decode(&seen))
	require.NoError(t, cmd.Wait(), "%s", &complaint)
	assert.Empty(t, seen.Complaints)
	judgePage(t, seen.Readings, truth)
}

// sample looks at the queue itself until ctx ends.
func sample(ctx context.Context, t *testing.T, client *redis.Client) (all []gatewayqueue.Status) {
	queue, err := pageQueue(client)
	if !assert.NoError(t, err) {
		return nil
	}
	defer queue.Close()
	for ctx.Err() == nil {
		if status, err := queue.Status(ctx); err == nil {
			all = append(all, status)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return all
}

// around are the samples on both sides of a moment, two each: what was true at it lies
// between them. ok is false where the machine was too slow to tell, and where there was
// no queue yet, which has no buckets before its first pod.
func around(all []gatewayqueue.Status, at int64) (_ []gatewayqueue.Status, ok bool) {
	i, _ := slices.BinarySearchFunc(all, at, func(s gatewayqueue.Status, at int64) int { return int(s.Time.UnixMilli() - at) })
	if i < 2 || i+2 > len(all) {
		return nil, false
	}
	near := all[i-2 : i+2]
	unborn := slices.ContainsFunc(near, func(s gatewayqueue.Status) bool { return len(s.Buckets) != pageBuckets })
	return near, !unborn && near[3].Time.Sub(near[0].Time) < 500*time.Millisecond
}

var (
	leadingNumber = regexp.MustCompile(`^\d+`)
	grantedOf     = regexp.MustCompile(`^(\d+) of (\d+) granted$`)
)

// number is the count that a text of the page begins with; "no line" and "nobody waits" are 0.
func number(text string) int {
	n, _ := strconv.Atoi(leadingNumber.FindString(text))
	return n
}

func judgePage(t *testing.T, readings []reading, truth []gatewayqueue.Status) {
	t.Helper()
	kinds, compared, dead, whole := make(map[string]int), 0, 0, 0
	for _, r := range readings {
		for _, b := range r.Buckets {
			kind, _, _ := strings.Cut(b.Slot, " ")
			kinds[kind]++
			assert.False(t, kind == "open" && number(b.Line) > 0, "bucket %d is said to be open, with %s", b.ID, b.Line)
		}
		if of := grantedOf.FindStringSubmatch(r.Fleet); of != nil {
			assert.LessOrEqual(t, number(of[2]), pageShards, r.Fleet)
			if number(of[2]) == pageShards {
				whole++
			}
		}
		if slices.ContainsFunc(r.Pods, func(p string) bool { return strings.HasPrefix(p, "dead pod-16||") }) {
			dead++
		}
		near, ok := around(truth, r.Seen)
		if !ok || r.Old != "" {
			continue
		}
		compared++
		compare(t, r, near)
	}
	t.Logf("%d readings, %d of them compared with %d looks at the queue; slots: %v; the dead pod in %d, all shards in %d", len(readings), compared, len(truth), kinds, dead, whole)
	assert.Greater(t, compared, 10, "readings that could be compared")
	assert.NotZero(t, kinds["permit"], "permits are shown as such")
	assert.NotZero(t, kinds["closed"])
	assert.NotZero(t, dead, "the killed pod is marked as dead")
	assert.Greater(t, whole, len(readings)/4, "the fleet is counted in full")
}

// compare holds a reading against the looks just before and after its picture was taken.
func compare(t *testing.T, r reading, near []gatewayqueue.Status) {
	t.Helper()
	within := func(got int, count func(gatewayqueue.Status) int, what string) {
		low, high := count(near[0]), count(near[0])
		for _, s := range near[1:] {
			low, high = min(low, count(s)), max(high, count(s))
		}
		assert.True(t, low <= got && got <= high, "%s: the page says %d, the queue %d to %d", what, got, low, high)
	}
	within(number(r.Waiting), func(s gatewayqueue.Status) (n int) {
		for _, b := range s.Buckets {
			n += len(b.Shards)
		}
		return n
	}, "waiting")
	for _, b := range r.Buckets {
		within(number(b.Line), func(s gatewayqueue.Status) int { return len(s.Buckets[b.ID].Shards) }, fmt.Sprint("the line of bucket ", b.ID))
		some := func(is func(gatewayqueue.BucketStatus) bool) bool {
			return slices.ContainsFunc(near, func(s gatewayqueue.Status) bool { return is(s.Buckets[b.ID]) })
		}
		switch kind, _, _ := strings.Cut(b.Slot, " "); kind {
		case "permit":
			assert.True(t, some(func(b gatewayqueue.BucketStatus) bool { return b.Permit }), "bucket %d: %s", b.ID, b.Slot)
		case "closed":
			assert.True(t, some(func(b gatewayqueue.BucketStatus) bool { return b.Closed > 0 && !b.Permit }), "bucket %d: %s", b.ID, b.Slot)
		case "next:", "open":
		case "late":
			assert.True(t, some(func(b gatewayqueue.BucketStatus) bool { return b.Closed == 0 && b.Waiting > 0 }), "bucket %d: %s", b.ID, b.Slot)
		default:
			assert.Fail(t, "neither of these was so", "bucket %d: %s", b.ID, b.Slot)
		}
	}
}
