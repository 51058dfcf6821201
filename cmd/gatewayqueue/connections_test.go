// What strangers can hold: connections, answers, descriptors.

package main_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// serveWithin is serve with a limit of open files.
func serveWithin(t *testing.T, files int, args ...string) *served {
	t.Helper()
	sh, err := exec.LookPath("sh")
	if err != nil || runtime.GOOS == "windows" {
		t.Skip("there is no limit of open files here")
	}
	file := t.TempDir() + "/gatewayqueue"
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, "#!%s\nulimit -n %d\nexec %s \"$@\"\n", sh, files, program), 0o700))
	return serveBy(t, file, nil, append([]string{"--port", "0"}, args...)...)
}

func (s *served) dial(t *testing.T, request string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, _ = io.WriteString(conn, request) // It may be closed already.
	return conn
}

// probe asks on a connection of its own, as Kubernetes does.
func (s *served) probe(path string) string { return s.probeWithin(10*time.Second, path) }

func (s *served) probeWithin(d time.Duration, path string) string {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: d}
	resp, err := client.Get(s.URL + path)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

func TestConnections_AFullServerFindsRedisAgain(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	s := serveWithin(t, 200, "--redis", "redis://"+redis.Addr, "--fresh-start", "--window", "100ms", "--max-concurrency", "1")
	require.Regexp(t, `connections=\d+ probes=\d+ files=200`, s.Log())
	for i := range 300 { // they wait, and come again when they are dropped
		go func() {
			for t.Context().Err() == nil {
				conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
				if err != nil {
					return
				}
				fmt.Fprintf(conn, "GET /?shard=%d HTTP/1.1\r\nHost: localhost\r\n\r\n", i)
				_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
				_, _ = io.Copy(io.Discard, conn) // Granted or not, it holds on to its connection.
				_ = conn.Close()
				time.Sleep(100 * time.Millisecond)
			}
		}()
	}
	client := redis.Client(t)
	grants := func() int {
		n, _ := client.HGet(t.Context(), "identify:{default}:limits", "seq").Int() // It may be away.
		return n
	}
	require.Eventually(t, func() bool { return strings.Contains(s.Log(), "all connections are in use") }, time.Minute, 50*time.Millisecond)
	// On a busy machine a request may come too late for one of the places that
	// probes have; so they try again, as Kubernetes does.
	probed := func(path, want string) {
		assert.Eventually(t, func() bool { return strings.Contains(s.probe(path), want) }, time.Minute, 50*time.Millisecond, path)
	}
	probed("/healthz", "ok\n")
	probed("/readyz", "ready\n")
	probed("/metrics", "\ngatewayqueue_status_up 1\n")
	redis.Kill()
	require.Eventually(t, func() bool { return strings.Contains(s.probe("/readyz"), "the queue cannot be read") }, time.Minute, 50*time.Millisecond)
	probed("/healthz", "ok\n")
	redis.Restart()
	require.Eventually(t, func() bool { return grants() >= 3 }, time.Minute, 100*time.Millisecond, "%s", s.Log())
	require.Eventually(t, func() bool { return s.probe("/readyz") == "ready\n" }, time.Minute, 100*time.Millisecond, "%s", s.Log())
	for range 20 {
		probed("/healthz", "ok\n")
	}
}

func TestConnections_TooFewFilesAreRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", "ulimit -n 40; exec "+program+" serve --port 0 --redis redis://127.0.0.1:1")
	cmd.Env = environment()
	got := finish(t, cmd, func() {})
	assert.Equal(t, 1, got.code)
	assert.Regexp(t, `only 40 files may be open: want \d+ or more \(ulimit -n, LimitNOFILE=\)`, got.err)
}

func TestConnections_WhoDoesNotReadIsGivenUp(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds of real time")
	}
	t.Parallel()
	s := serve(t, nil, "--fresh-start", "--max-concurrency", "64")
	for path, want := range map[string]string{"/metrics": "\ngo_goroutines ", "/v1/status": `"remaining"`, "/dashboard": "<html", "/v1/openapi.json": `"openapi"`, "/healthz": "ok\n"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			var hogs sync.WaitGroup
			for range 6 {
				conn := s.dial(t, "")
				hogs.Go(func() { // until it is cut
					request := strings.Repeat("GET "+path+" HTTP/1.1\r\nHost: localhost\r\n\r\n", 100)
					for t.Context().Err() == nil {
						if _, err := io.WriteString(conn, request); err != nil {
							return
						}
					}
				})
			}
			time.Sleep(2 * time.Second)
			assert.Contains(t, s.probeWithin(time.Minute, path), want, "others have their answers")
			ended := make(chan struct{})
			go func() { hogs.Wait(); close(ended) }()
			select {
			case <-ended:
			case <-time.After(10 * time.Minute): // to fill the buffers between with short answers takes a busy machine a while
				assert.Fail(t, "they are still connected")
			}
		})
	}
}

func TestConnections_SlowRequestsAreGivenUp(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds of real time")
	}
	t.Parallel()
	s := serve(t, nil, "--fresh-start", "--max-concurrency", "64")
	for what, request := range map[string]string{
		"no byte":          "",
		"half a header":    "GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
		"half a body":      "POST /v1/permits HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"a body unread":    "POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
		"a legacy body":    "POST /?shard=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
		"a dashboard body": "POST /dashboard HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			conn := s.dial(t, request)
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(2*time.Minute)))
			_, err := io.Copy(io.Discard, conn)
			assert.False(t, err != nil && strings.Contains(err.Error(), "timeout"), "it is closed by the server: %v", err)
		})
	}
}
