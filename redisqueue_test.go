package gatewayqueue_test

// The acceptance test: pods that are processes of their own, one real Redis
// between them, a strict judge, and a SIGKILL on the way.

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

const (
	acceptanceWindow = 500 * time.Millisecond // stands for Discord's 5 s
	podVar           = "GATEWAYQUEUE_TEST_POD"
)

func TestMain(m *testing.M) {
	if args := os.Getenv(podVar); args != "" {
		runPod(strings.Fields(args))
		return
	}
	// Most tests in real time wait for a clock, and not for a processor.
	flag.Parse()
	exitOn(flag.Set("test.parallel", "16"))
	os.Exit(m.Run())
}

// runPod is the life of one pod: it brings up its shards, and stays until its
// standard input ends.
func runPod(args []string) {
	name, addr, judge := args[0], args[1], args[2]
	client := redis.NewClient(&redis.Options{Addr: addr})
	queue, err := redisqueue.New(client, redisqueue.WithPod(name),
		redisqueue.WithWindow(acceptanceWindow), redisqueue.WithLimit(acceptanceLimit))
	exitOn(err)
	var shards sync.WaitGroup
	for _, arg := range args[3:] {
		shards.Go(func() {
			shard, err := strconv.Atoi(arg)
			exitOn(err)
			dial := func(context.Context) error { time.Sleep(20 * time.Millisecond); return nil }
			identify := func(ctx context.Context) error {
				_, err := gatewaytest.Report(ctx, nil, judge, shard)
				return err
			}
			exitOn(gatewayqueue.Identify(context.Background(), queue, shard, dial, identify))
		})
	}
	shards.Wait()
	fmt.Println("up")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	exitOn(queue.Close())
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

var acceptanceLimit = gatewayqueue.SessionStartLimit{
	Total: 1000, Remaining: 500, ResetAfter: time.Hour, MaxConcurrency: 4,
}

type pod struct {
	name   string
	shards []int
	cmd    *exec.Cmd
	up     chan error
}

// startPod starts this test's binary as a pod. It ends with the test: its
// standard input does.
func startPod(t *testing.T, name, addr, judge string, shards ...int) *pod {
	t.Helper()
	args := append([]string{name, addr, judge}, strings.Fields(strings.Trim(fmt.Sprint(shards), "[]"))...)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), podVar+"="+strings.Join(args, " "))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &pod{name: name, shards: shards, cmd: cmd, up: make(chan error, 1)}
	go func() {
		line, err := bufio.NewReader(stdout).ReadString('\n')
		if err == nil && line != "up\n" {
			err = fmt.Errorf("pod %s said %q", name, line)
		}
		p.up <- err
	}()
	t.Cleanup(func() {
		assert.NoError(t, stdin.Close())
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Wait() // its error is that of a killed process, or was printed
	})
	return p
}

func TestManyPodsShareOneRedisWithoutAViolation(t *testing.T) {
	server := redistest.Start(t)
	judge := gatewaytest.NewJudge(acceptanceLimit, acceptanceWindow)
	office := httptest.NewServer(judge)
	t.Cleanup(office.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	// The test holds every bucket until all pods stand in line, so that the
	// order of their arrival is known.
	queue, err := redisqueue.New(server.Client(t), redisqueue.WithPod("holder"),
		redisqueue.WithWindow(acceptanceWindow), redisqueue.WithLimit(acceptanceLimit), redisqueue.WithFreshStart())
	require.NoError(t, err)
	defer func() { assert.NoError(t, queue.Close()) }()
	var held []gatewayqueue.Permit
	for shard := range acceptanceLimit.MaxConcurrency {
		permit, err := queue.Acquire(ctx, shard)
		require.NoError(t, err)
		held = append(held, permit)
	}
	const pods, shards = 4, 28
	line := make([]*pod, pods)
	for i := range pods {
		var own []int
		for shard := acceptanceLimit.MaxConcurrency; shard < shards; shard++ {
			if (shard+shard/acceptanceLimit.MaxConcurrency)%pods == i { // every pod is in every bucket
				own = append(own, shard)
			}
		}
		line[i] = startPod(t, fmt.Sprintf("pod-%d", i), server.Addr, office.URL, own...)
	}
	waiting := 0
	for _, p := range line {
		waiting += len(p.shards)
	}
	arrival := waitForLine(ctx, t, queue, waiting)
	for shard, permit := range held {
		judge.Identify(shard)
		require.NoError(t, permit.Identified(ctx))
	}

	// One pod dies once the line moves; another takes its shards over.
	for judge.Verdict().Identifies <= acceptanceLimit.MaxConcurrency {
		require.NoError(t, ctx.Err())
		time.Sleep(5 * time.Millisecond)
	}
	dead := line[1]
	require.NoError(t, dead.cmd.Process.Kill())
	require.Error(t, <-dead.up, "it was killed before its shards were up")
	served := judge.Verdict().Shards
	rest := slices.DeleteFunc(slices.Clone(dead.shards), func(s int) bool { return served[s] > 0 })
	line[1] = startPod(t, "pod-1b", server.Addr, office.URL, rest...)
	for _, p := range line {
		require.NoError(t, <-p.up, p.name)
	}

	verdict := judge.Verdict()
	t.Log(verdict)
	assert.Zero(t, verdict.Violations)
	assert.Zero(t, verdict.OverBudget)
	assert.Len(t, verdict.Shards, acceptanceLimit.MaxConcurrency+waiting, "every shard is up")

	status, err := queue.Status(ctx)
	require.NoError(t, err)
	spent := 0
	for _, n := range status.Spent {
		spent += n
	}
	assert.Equal(t, acceptanceLimit.Remaining-spent, status.Budget.Remaining, "units gone are units spent")
	// What the dead pod held when it died was spent, and may or may not have been used.
	assert.GreaterOrEqual(t, spent, verdict.Identifies)
	assert.LessOrEqual(t, spent, verdict.Identifies+acceptanceLimit.MaxConcurrency)
	assertOrder(t, arrival, judge.Record(), dead.shards)
}

// waitForLine waits until n tickets stand in line, and returns each bucket's
// shards in their order.
func waitForLine(ctx context.Context, t *testing.T, queue *redisqueue.RedisQueue, n int) map[int][]int {
	t.Helper()
	for {
		status, err := queue.Status(ctx)
		require.NoError(t, err)
		if status.Waiting() < n {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		order := make(map[int][]int)
		for _, b := range status.Buckets {
			for _, place := range b.Line {
				id, _, _ := strings.Cut(place.Ticket, "@")
				shard, err := strconv.Atoi(id)
				require.NoError(t, err)
				order[b.Bucket] = append(order[b.Bucket], shard)
			}
		}
		return order
	}
}

// assertOrder checks that the shards of the pods that lived identified in the
// order of their arrival.
func assertOrder(t *testing.T, arrival map[int][]int, record []gatewaytest.Identify, dead []int) {
	t.Helper()
	came := make(map[int][]int)
	for _, i := range record {
		if i.Shard >= acceptanceLimit.MaxConcurrency && !slices.Contains(dead, i.Shard) {
			came[i.Bucket] = append(came[i.Bucket], i.Shard)
		}
	}
	for bucket, shards := range arrival {
		shards = slices.DeleteFunc(shards, func(s int) bool { return slices.Contains(dead, s) })
		assert.Equal(t, shards, came[bucket], "bucket %d keeps the order of arrival", bucket)
	}
}
