// The history of the built program: of servers that live, end and are killed.

package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/citest"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// A minute lasts a minute, so that one test tries all of it.
func TestHistory_IsOfServersThatLiveAndThatEnd(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client, url := server.Client(t), "redis://"+server.Addr
	open := func(more ...string) *served {
		return serve(t, nil, append([]string{"--redis", url, "--app", "7", "--max-concurrency", "2", "--fresh-start"}, more...)...)
	}
	lives, ends, killed, silent := open(), open(), open(), open("--history=false")
	seconds := func() int { return client.Time(t.Context()).Val().Second() }
	for seconds() > 40 { // so that all of it is in one minute
		time.Sleep(time.Second)
	}
	minute := client.Time(t.Context()).Val().Truncate(time.Minute)
	shard := 0
	grant := func(s *served, n int) {
		for range n {
			code, body := s.get(fmt.Sprintf("/?shard=%d", shard))
			require.Equal(t, http.StatusOK, code, body)
			shard++
		}
	}
	grant(lives, 5)
	grant(ends, 3)
	grant(killed, 2)
	grant(silent, 1)
	require.NoError(t, killed.cmd.Process.Kill())
	require.NoError(t, ends.cmd.Process.Signal(os.Interrupt))
	require.Eventually(t, func() bool { return client.HLen(t.Context(), "identify:{7}:history").Val() == 1 }, time.Minute, 10*time.Millisecond,
		"a server that ends tells the minute that goes on")

	var minutes []gatewayqueue.Minute
	granted := func() int {
		var answer struct{ Minutes []gatewayqueue.Minute }
		code, body := lives.get("/v1/history")
		require.Equal(t, http.StatusOK, code, body)
		require.NoError(t, json.Unmarshal([]byte(body), &answer))
		minutes = answer.Minutes
		sum := 0
		for _, m := range minutes {
			sum += m.Granted
		}
		return sum
	}
	require.Eventually(t, func() bool { return granted() >= 8 }, 2*time.Minute, 200*time.Millisecond)
	assert.Equal(t, 8, granted(), "a server that was killed leaves out the minute that it was in, and no other does")
	require.Len(t, minutes, 1)
	m := minutes[0]
	assert.True(t, m.Start.Equal(minute), "%v", m.Start)
	assert.Equal(t, 1000-shard, m.Remaining)
	assert.Equal(t, 8, m.Waits.Count())
	assert.Less(t, m.P99, time.Minute)

	for _, where := range [][]string{{"--redis", url}, {"--url", lives.URL}} {
		got := run(t, append([]string{"history", "--json"}, where...)...)
		require.Zero(t, got.code, got.err)
		var all []gatewayqueue.Minute
		require.NoError(t, json.Unmarshal([]byte(got.out), &all))
		require.Len(t, all, 1)
		assert.Equal(t, m.Waits, all[0].Waits)
		got = run(t, append([]string{"history"}, where...)...)
		require.Zero(t, got.code, got.err)
		assert.Contains(t, got.out, "8, 8 in 30 min at most")
		assert.Contains(t, got.out, fmt.Sprintf("%d of 1000", m.Remaining))
	}
	assert.NotContains(t, lives.Log(), "history")
	looksAtHistory(t, lives.URL, m)
}

// looksAtHistory opens the page in a browser.
func looksAtHistory(t *testing.T, url string, m gatewayqueue.Minute) {
	t.Helper()
	node, chromium := citest.Browser(t)
	screenshots := os.Getenv("SCREENSHOTS")
	if screenshots == "" {
		screenshots = t.TempDir()
	}
	var shown struct {
		Complaints []string
		Sum        string
		Rows       [][]string
		Wide       int
	}
	cmd := exec.CommandContext(t.Context(), node, "history.cjs", url+"/dashboard", chromium, screenshots)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	require.NoError(t, err, "%s", &complaint)
	require.NoError(t, json.Unmarshal(out, &shown))
	assert.Empty(t, shown.Complaints)
	assert.LessOrEqual(t, shown.Wide, 0, "the page is wider than 320 px")
	assert.Regexp(t, `^8 granted; half waited up to .*, 99 of 100 up to .*`, shown.Sum)
	require.Len(t, shown.Rows, 1)
	assert.Equal(t, []string{"8", "", fmt.Sprintf("%d of 1000", m.Remaining)}, shown.Rows[0][1:4])
}

func TestHistory_OfAServerInMemoryAndOfNone(t *testing.T) {
	t.Parallel()
	s := serve(t, nil, "--fresh-start")
	got := run(t, "history", "--url", s.URL)
	assert.Zero(t, got.code, got.err)
	assert.Contains(t, got.out, "nothing was granted")
	got = run(t, "history", "--url", s.URL, "--json")
	assert.Equal(t, "[]", strings.TrimSpace(got.out))
	got = run(t, "history", "--url", s.URL, "--each", "1s")
	assert.Equal(t, 2, got.code)
	assert.Contains(t, got.err, `--each is "1s": want a time with its unit from 1m to 24h`)
}
