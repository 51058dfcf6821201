package main_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// The least rights of docs/operations.md are enough for each command, on each
// topology.
func TestProgram_TheLeastRightsSuffice(t *testing.T) {
	t.Parallel()
	acl, err := os.ReadFile("../../redisqueue/testdata/acl.txt")
	require.NoError(t, err)
	for name, start := range map[string]func(t *testing.T) (url string, servers []*redistest.Server, more []string){
		"server": func(t *testing.T) (string, []*redistest.Server, []string) {
			s := redistest.Start(t)
			return "redis://gatewayqueue:secret@" + s.Addr, []*redistest.Server{s}, nil
		},
		"sentinel": func(t *testing.T) (string, []*redistest.Server, []string) {
			s := redistest.StartSentinel(t, 1)
			return "redis-sentinel://gatewayqueue:secret@" + strings.Join(s.Addrs, ",") + "/" + s.MasterName, s.Servers, nil
		},
		"cluster": func(t *testing.T) (string, []*redistest.Server, []string) {
			c := redistest.StartCluster(t, 3, 0)
			return "redis-cluster://gatewayqueue:secret@" + strings.Join(c.Addrs, ","), c.Servers, []string{"+cluster|slots", "+command"}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, servers, more := start(t)
			grant := func(rights ...string) {
				for _, s := range servers {
					var line []any
					for _, word := range append(strings.Fields(string(acl)), rights...) {
						line = append(line, word)
					}
					require.NoError(t, s.Client(t).Do(t.Context(), line...).Err())
				}
			}
			grant(more...)
			s := serve(t, nil, "--redis", url, "--fresh-start")
			code, body := s.get("/?shard=0")
			assert.Equal(t, 200, code, body)
			code, body = s.get("/readyz")
			assert.Equal(t, 200, code, body)
			got := run(t, "wait", "--quiet", "--shard", "1", "--timeout", "2m", "--redis", url, "--", "echo", "here")
			assert.Equal(t, result{"here\n", "", 0}, got)
			assert.NotContains(t, s.Log(), "NOPERM")

			for _, command := range [][]string{
				{"status"}, {"status", "--json"}, {"history"}, {"audit"}, {"plan", "--shards", "1"}, {"check", "--ignore", "hold"},
				{"pause", "--why", "to see"}, {"resume", "--why", "seen"},
			} {
				for _, app := range [][]string{nil, {"--app", "default"}} { // which it is without one
					got := run(t, append(append(command, "--redis", url), app...)...)
					assert.Zero(t, got.code, "%v: %s", command, got.out+got.err)
				}
			}
			got = run(t, "status", "--redis", url, "--app", "other")
			assert.Equal(t, 1, got.code)
			assert.Contains(t, got.err, "application other has no queue in Redis at ")
			assert.Contains(t, got.err, "this user may not list which there are (+scan)")
			grant(append(more, "+scan")...)
			got = run(t, "status", "--all", "--redis", url)
			assert.Zero(t, got.code, got.err)
			got = run(t, "status", "--redis", url, "--app", "other")
			assert.Contains(t, got.err, "--app may be default")
		})
	}
}
