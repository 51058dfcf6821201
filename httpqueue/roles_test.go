package httpqueue_test

// The test's binary as a server in another process.

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

const roleVar = "GATEWAYQUEUE_TEST_ROLE"

// role is what a server process is told.
type role struct {
	Redis  string // its address; empty for a queue in memory
	Limit  gatewayqueue.SessionStartLimit
	Window time.Duration
	Margin time.Duration // httpqueue.WithGrantMargin; -1 for the default
	Tight  bool          // no margins in the queue
}

// play is the life of a server: it says its address, answers questions on its
// standard input, and ends with it, or gracefully with SIGTERM.
func play(text string) {
	var r role
	exitOn(json.Unmarshal([]byte(text), &r))
	grants := newLedger()
	queue, closeQueue := r.queue(grants.note)
	opts := []httpqueue.Option{httpqueue.WithMaxWaiters(20000)}
	if r.Margin >= 0 {
		opts = append(opts, httpqueue.WithGrantMargin(r.Margin))
	}
	handler, err := httpqueue.NewHandler(queue, opts...)
	exitOn(err)
	server := httpqueue.NewServer(handler)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	exitOn(err)
	go func() {
		if err := server.Serve(httpqueue.Quiet(listener)); !errors.Is(err, http.ErrServerClosed) {
			exitOn(err)
		}
	}()
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		exitOn(errors.Join(server.Shutdown(ctx), handler.Shutdown(ctx)))
		closeQueue()
		os.Exit(0)
	}()
	fmt.Println(listener.Addr())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		switch lines.Text() {
		case "memory":
			fmt.Println(handler.Waiting(), resident())
		case "grants":
			fmt.Println(grants)
		}
	}
	os.Exit(0)
}

func (r role) queue(observe func(gatewayqueue.Event)) (gatewayqueue.PermitQueue, func()) {
	if r.Redis == "" {
		opts := []memqueue.Option{memqueue.WithWindow(r.Window), memqueue.WithObserver(observe)}
		if r.Tight {
			opts = append(opts, memqueue.WithMargin(0), memqueue.WithPermitMargin(0))
		}
		q, err := memqueue.New(r.Limit, opts...)
		exitOn(err)
		return q, func() { exitOn(q.Close()) }
	}
	client := redis.NewClient(&redis.Options{Addr: r.Redis})
	opts := []redisqueue.Option{
		redisqueue.WithLimit(r.Limit), redisqueue.WithWindow(r.Window), redisqueue.WithObserver(observe), redisqueue.WithFreshStart(),
	}
	if r.Tight {
		opts = append(opts, redisqueue.WithMargin(0), redisqueue.WithPermitMargin(0))
	}
	q, err := redisqueue.New(client, opts...)
	exitOn(err)
	return q, func() { exitOn(q.Close()) }
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// resident is the memory of this process in KiB, with all garbage given back.
func resident() int {
	runtime.GC()
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/status")
	exitOn(err)
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	exitOn(err)
	return n
}

// ledger notes when each shard was granted, in ns of the machine's clock.
type ledger struct {
	mu sync.Mutex
	at map[int]int64
}

func newLedger() *ledger { return &ledger{at: make(map[int]int64)} }

func (l *ledger) note(e gatewayqueue.Event) {
	if e.Kind != gatewayqueue.EventGranted {
		return
	}
	now := time.Now().UnixNano()
	l.mu.Lock()
	l.at[e.ShardID] = now
	l.mu.Unlock()
}

func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text, err := json.Marshal(l.at)
	exitOn(err)
	return string(text)
}

// process is a server in a process of its own. It ends with the test: its
// standard input does.
type process struct {
	address string
	cmd     *exec.Cmd
	ask     func(question string) string
}

func start(t testing.TB, r role) *process {
	t.Helper()
	text, err := json.Marshal(r)
	require.NoError(t, err)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVar+"="+string(text))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		kill := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_ = cmd.Wait() // its error is that of a killed process, or was printed
	})
	reader := bufio.NewReaderSize(stdout, 1<<20)
	line := func() string {
		text, err := reader.ReadString('\n')
		require.NoError(t, err, "the server process has ended")
		return strings.TrimSpace(text)
	}
	return &process{line(), cmd, func(question string) string {
		_, err := fmt.Fprintln(stdin, question)
		require.NoError(t, err)
		return line()
	}}
}
