package main_test

import (
	"bufio"
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
