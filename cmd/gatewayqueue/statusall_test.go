package main_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

func TestStatus_ShowsAllQueuesOfARedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url := "redis://" + server.Addr
	queueOf(t, server, "1234", 0, 2, 4)
	queueOf(t, server, "5678", 1)
	require.NoError(t, server.Client(t).HSet(t.Context(), "identify:{broken}:limits", "epoch", "e", "total", "many").Err())
	require.Zero(t, run(t, "pause", "--why", "maintenance", "--who", "alice", "--redis", url, "--app", "5678").code)

	got := run(t, "status", "--all", "--redis", url)
	require.Zero(t, got.code, got.err)
	assert.Contains(t, got.out, " 3 queues, at ")
	assert.Regexp(t, `(?m)^ 1234 +699 of 1000 +2 +1 +2 +[0-9.]+ s$`, got.out)
	assert.Regexp(t, `(?m)^ 5678 +699 of 1000 +2 +\d +0 +-  paused by alice: maintenance$`, got.out)
	assert.Regexp(t, `(?m)^ broken +- .*no grants: identify:\{broken\}:limits`, got.out, "one that is broken hides no other")
	got = run(t, "status", "--all", "--redis", url, "--filter", "paused", "--sort", "waiting")
	assert.Contains(t, got.out, "5678")
	assert.NotContains(t, got.out, " 1234 ")
	got = run(t, "status", "--all", "--redis", url, "--sort", "waiting")
	assert.Less(t, strings.Index(got.out, "\n 1234 "), strings.Index(got.out, "\n 5678 "))

	var all map[string]gatewayqueue.Status
	require.NoError(t, json.Unmarshal([]byte(run(t, "status", "--all", "--redis", url, "--json").out), &all))
	require.Len(t, all, 3)
	assert.Equal(t, 2, all["1234"].Waiting())
	assert.Equal(t, "alice", all["5678"].Pause.Who)
	assert.Equal(t, 1, run(t, "status", "--all", "--redis", "redis://"+redistest.Start(t).Addr).code, "no queue is there")
}

func TestStatus_ShowsAllQueuesOfACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0)
	url := "redis-cluster://" + cluster.Addrs[0]
	for _, app := range []string{"1", "2", "3", "4", "5"} {
		require.Zero(t, run(t, "pause", "--why", "to be there", "--redis", url, "--app", app, "--new").code)
	}
	got := run(t, "status", "--all", "--redis", url)
	require.Zero(t, got.code, got.err)
	assert.Contains(t, got.out, " 5 queues, at ")
}

func TestStatus_SortsAndFiltersIntoAPipe(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url := "redis://" + server.Addr
	queueOf(t, server, "1234", 0, 1, 3, 5)
	lines := func(more ...string) string {
		got := run(t, append([]string{"status", "--redis", url}, more...)...)
		require.Zero(t, got.code, got.err)
		_, table, _ := strings.Cut(got.out, "\n\n")
		return table
	}
	assert.Regexp(t, `(?s)\n +0  closed.*\n +1  closed`, lines())
	assert.Regexp(t, `(?s)\n +1  closed.*\n +0  closed`, lines("--sort", "waiting"))
	assert.NotRegexp(t, `\n +0  closed`, lines("--filter", "5"))
	assert.Regexp(t, `(?s)\n +1  closed`, lines("--filter", "2147483647"))
	for _, number := range []string{"2147483648", "9223372036854775807", "99999999999999999999"} { // no shard's
		assert.Contains(t, lines("--filter="+number), fmt.Sprintf("\n no bucket matches %q\n", number))
	}
}
