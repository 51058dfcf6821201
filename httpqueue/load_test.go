package httpqueue_test

// Ten thousand long polls on one server: client and server in two processes,
// because one process may not have enough files.

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// maxMemory is what one waiting client may cost the server, in KiB. net/http's
// own buffers and stacks are most of it.
const maxMemory = 20

// loadVar runs the load test against Redis, too.
const loadVar = "GATEWAYQUEUE_TEST_LOAD"

func TestTenThousandLongPolls(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds, and half a gigabyte")
	}
	clients := 10000
	if raceEnabled { // the detector takes its time, and has a memory of its own
		clients = 1000
	}
	legacy := func(shard int) string {
		return fmt.Sprintf("GET /?shard=%d HTTP/1.1\r\nHost: queue\r\n\r\n", shard)
	}
	permits := func(shard int) string {
		body := fmt.Sprintf(`{"shard":%d,"max_wait_ms":300000,"key":"client-%d"}`, shard, shard)
		return fmt.Sprintf("POST /v1/permits HTTP/1.1\r\nHost: queue\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	}
	for _, c := range []struct {
		name    string
		request func(int) string
		shared  bool
	}{
		{"legacy", legacy, false},
		{"permits", permits, false},
		{"legacy on Redis", legacy, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.shared && os.Getenv(loadVar) == "" {
				t.Skip("takes more than a minute: set " + loadVar)
			}
			few := poll(t, c.shared, c.request, 10)
			many := poll(t, c.shared, c.request, clients)
			t.Logf("grant to client, p50 / p99: %v / %v with 10 clients, %v / %v with %d; %.1f KiB of server memory each",
				few.at(50), few.at(99), many.at(50), many.at(99), clients, many.memory)
			assert.Zero(t, few.errors+many.errors, "errors")
			if !raceEnabled {
				assert.Less(t, many.memory, float64(maxMemory), "KiB each")
			}
		})
	}
}

// figures are what came of a run.
type figures struct {
	delays []time.Duration // from the grant to the client, sorted
	errors int
	memory float64 // KiB of the server per client that waits
}

func (f figures) at(percent int) time.Duration {
	if len(f.delays) == 0 {
		return 0
	}
	return f.delays[len(f.delays)*percent/100].Round(10 * time.Microsecond)
}

// poll has n clients wait while nothing is granted, and then grants to all.
func poll(t *testing.T, shared bool, request func(shard int) string, n int) figures {
	t.Helper()
	// What is left cannot be raised within a period, but with the total.
	empty := gatewayqueue.SessionStartLimit{Total: 1, MaxConcurrency: 16, ResetAfter: time.Hour}
	r := role{Limit: empty, Window: 15 * time.Millisecond, Tight: true}
	if shared {
		r.Window = 50 * time.Millisecond
		r.Redis = redistest.Start(t).Addr
	}
	server := start(t, r)
	idle := server.memory(t, 0)
	var f figures
	var lost atomic.Int64
	received := make([]int64, n)
	var all sync.WaitGroup
	gate := make(chan struct{}, 100) // as many as connect at a time
	for shard := range n {
		all.Go(func() {
			gate <- struct{}{}
			conn, err := net.Dial("tcp", server.address)
			if err == nil {
				defer conn.Close()
				_, err = io.WriteString(conn, request(shard))
			}
			<-gate
			if err != nil {
				lost.Add(1)
				return
			}
			resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 512), nil)
			received[shard] = time.Now().UnixNano()
			if err != nil || resp.StatusCode >= 300 {
				lost.Add(1)
				return
			}
			server.report(resp)
		})
	}
	f.memory = float64(server.memory(t, n)-idle) / float64(n)
	if !shared {
		server.grantTo(t, n)
	}
	all.Wait()
	grants := make(map[string]int64)
	require.NoError(t, json.Unmarshal([]byte(server.ask("grants")), &grants))
	for shard, at := range received {
		if granted, ok := grants[strconv.Itoa(shard)]; ok && at > 0 {
			f.delays = append(f.delays, time.Duration(at-granted))
		}
	}
	slices.Sort(f.delays)
	f.errors = int(lost.Load()) + n - len(f.delays)
	return f
}

// memory waits until so many wait at the server, and returns what it uses.
func (p *process) memory(t testing.TB, waiting int) int {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		now, kib, _ := strings.Cut(p.ask("memory"), " ")
		if now == strconv.Itoa(waiting) {
			n, err := strconv.Atoi(kib)
			require.NoError(t, err)
			return n
		}
		require.True(t, time.Now().Before(end), "%s clients wait of %d", now, waiting)
	}
}

// grantTo fills the budget.
func (p *process) grantTo(t testing.TB, n int) {
	t.Helper()
	body := fmt.Sprintf(`{"total":%d,"remaining":%d,"reset_after":3600000,"max_concurrency":16}`, n+100, n+100)
	req, err := http.NewRequest(http.MethodPut, "http://"+p.address+"/v1/limits", bytes.NewBufferString(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, resp.StatusCode)
	require.NoError(t, resp.Body.Close())
}

// report says of a permit that it was used, so that the next can be granted.
func (p *process) report(resp *http.Response) {
	if at := resp.Header.Get("Location"); at != "" {
		if resp, err := http.Post("http://"+p.address+at+"/identified", "", nil); err == nil {
			_ = resp.Body.Close()
		}
	}
}
