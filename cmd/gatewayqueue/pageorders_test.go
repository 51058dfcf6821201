package main_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/citest"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// An operator pauses and resumes a queue in a browser, at a built server.
func TestPage_PausesAndResumesWithTheToken(t *testing.T) {
	t.Parallel()
	node, chromium := citest.Browser(t)
	const token = "0123456789abcdef"
	redis := "redis://" + redistest.Start(t).Addr
	s := serve(t, []string{"GATEWAYQUEUE_AUTH_TOKEN=" + token}, "--redis", redis, "--fresh-start", "--applications")
	require.Zero(t, run(t, "pause", "--why", "to be listed", "--app", "another", "--new", "--redis", redis).code)
	screenshots := os.Getenv("SCREENSHOTS") // a directory, for those who want to look, too
	if screenshots == "" {
		screenshots = t.TempDir()
	}
	out, err := exec.CommandContext(t.Context(), node, "pageorders.cjs", s.URL, chromium, token, screenshots).CombinedOutput()
	require.NoError(t, err, "%s", out)
	got := run(t, "audit", "--redis", redis)
	assert.Regexp(t, `^\S+ \S+  resume by alice at 127\.0\.0\.1: it is up\n\S+ \S+  pause for 30m by alice at 127\.0\.0\.1: <b>Discord</b> is down\n$`, got.out)
	assert.NotContains(t, s.Log(), token)
}

// Without a token the page shows a pause, and gives no orders.
func TestPage_HasNoButtonsWithoutAToken(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	events, err := http.Get(s.URL + "/dashboard/events") //nolint:noctx // a test's
	require.NoError(t, err)
	defer events.Body.Close()
	for lines := bufio.NewScanner(events.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "data: ") {
			assert.NotContains(t, lines.Text(), `"api"`)
			return
		}
	}
	assert.Fail(t, "no event has come")
}

// The page lists the last ten orders, and says how many there were before.
func TestPage_SaysHowManyOrdersItDoesNotList(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	queueOf(t, server, "1234", 0)
	add := func(n int) {
		for range n {
			const order = `{"time":"2026-01-03T13:01:58Z","what":"pause","who":"anna","why":"x"}`
			require.NoError(t, server.Client(t).LPush(t.Context(), "identify:{1234}:audit", order).Err())
		}
	}
	for older, n := range []int{10, 1, 1} {
		add(n)
		s := serve(t, nil, "--redis", "redis://"+server.Addr, "--app", "1234")
		var shown struct {
			State struct {
				Orders []struct{ Who string }
				Older  int `json:"older_orders"`
			}
		}
		text := strings.TrimPrefix(page(t, s), "data:")
		require.NoError(t, json.Unmarshal([]byte(text), &shown), text)
		assert.Len(t, shown.State.Orders, 10)
		assert.Equal(t, older, shown.State.Older)
	}
}
