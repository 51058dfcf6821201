//go:build unix

package redistest_test

import (
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// script is scripts/redis with a directory of its own for what it starts.
type script struct {
	t   *testing.T
	run string
}

func newScript(t *testing.T) script {
	t.Helper()
	s := script{t, t.TempDir()}
	out, err := s.command("list").Output()
	require.NoError(t, err)
	if len(out) == 0 && os.Getenv("CI") == "" {
		t.Skip("no server that scripts/redis knows: scripts/redis install")
	}
	t.Cleanup(func() {
		out, err := s.command("stop").CombinedOutput()
		assert.NoError(t, err, "%s", out)
	})
	return s
}

func (s script) command(args ...string) *exec.Cmd {
	cmd := exec.Command("../../scripts/redis", args...)
	cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+s.run)
	return cmd
}

// start returns what it prints, and "" where it fails.
func (s script) start(args ...string) string {
	s.t.Helper()
	out, err := s.command(append([]string{"start"}, args...)...).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

// servers are the processes that run, by port.
func (s script) servers() map[int]int {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.run, "*", "*", "pid"))
	require.NoError(s.t, err)
	servers := make(map[int]int)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(s.t, err)
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		require.NoError(s.t, err)
		port, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		require.NoError(s.t, err)
		if syscall.Kill(pid, 0) == nil {
			servers[port] = pid
		}
	}
	return servers
}

// freePorts is the first of several ports in a row that are free, as are those
// 10,000 above, on which the nodes of a cluster talk.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	for range 200 {
		first := 12800 + rand.IntN(2000) // clear of those that redistest lends out
		free := true
		for p := first; p < first+n; p++ {
			for _, port := range []int{p, p + 10000} {
				listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
				if err != nil {
					free = false
					continue
				}
				require.NoError(t, listener.Close())
			}
		}
		if free {
			return first
		}
	}
	t.Fatal("no free ports")
	return 0
}

func TestScript_ClusterStartsWhateverWasLeft(t *testing.T) {
	s := newScript(t)
	first := freePorts(t, 3)
	port := strconv.Itoa(first)
	start := func() map[int]int {
		t.Helper()
		require.Contains(t, s.start("--cluster", "--port", port), "redis://127.0.0.1:"+port+" (a cluster: ")
		servers := s.servers()
		require.Len(t, servers, 3)
		return servers
	}
	servers := start()
	assert.Equal(t, servers, start(), "what runs is left alone")
	for name, dead := range map[string][]int{"one": {first + 1}, "all": {first, first + 1, first + 2}} {
		servers = s.servers()
		for _, port := range dead {
			require.NoError(t, syscall.Kill(servers[port], syscall.SIGKILL))
		}
		again := start()
		for _, port := range dead {
			assert.NotEqual(t, servers[port], again[port], name)
		}
	}
	assert.Empty(t, s.start("--port", strconv.Itoa(first+1)), "one of a cluster's nodes is no server of its own")
	assert.Len(t, s.servers(), 3)
}

func TestScript_StartThatFailsLeavesNothing(t *testing.T) {
	s := newScript(t)
	port := strconv.Itoa(freePorts(t, 3))
	require.Empty(t, s.start("--cluster", "--port", port, "--", "--requirepass", "x"), "redis-cli cannot make a cluster of these")
	assert.Empty(t, s.servers())
	require.NotEmpty(t, s.start("--cluster", "--port", port))
	assert.Len(t, s.servers(), 3)
}

func TestScript_PortOfAnotherIsLeftAlone(t *testing.T) {
	s := newScript(t)
	first := freePorts(t, 3)
	listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(first+2))
	require.NoError(t, err)
	defer listener.Close()
	require.Empty(t, s.start("--cluster", "--port", strconv.Itoa(first)))
	assert.Empty(t, s.servers())
}
