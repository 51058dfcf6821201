// The dashboard in a real browser: Chromium, driven by playwright-core from
// look.cjs, while a fleet starts.

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/dashboard"
	"github.com/gatewayqueue/gatewayqueue/internal/citest"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// scene is a queue that can be away, with a bucket that somebody has closed by
// hand, and did not mean well.
type scene struct {
	*memqueue.Queue
	away atomic.Bool
}

func (s *scene) Status(ctx context.Context) (gatewayqueue.Status, error) {
	if s.away.Load() {
		return gatewayqueue.Status{}, errors.New("Redis is away") //nolint:staticcheck // A name.
	}
	status, err := s.Queue.Status(ctx)
	status.App = "1234567890"
	status.Buckets = append(status.Buckets, gatewayqueue.BucketStatus{
		Bucket: len(status.Buckets), Closed: 10 * time.Minute, Holder: `<img src=x onerror=alert(1)>`,
	})
	return status, err
}

func TestABrowserSeesTheQueueMove(t *testing.T) {
	node, chromium := citest.Browser(t)
	const window = 2 * time.Second
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 700, ResetAfter: 3 * time.Hour, MaxConcurrency: 6}
	queue, err := memqueue.New(limit, memqueue.WithWindow(window))
	require.NoError(t, err)
	defer queue.Close()
	watched := &scene{Queue: queue}
	board := dashboard.New(watched, dashboard.WithInterval(100*time.Millisecond), dashboard.WithStep(window+gatewayqueue.GrantMargin),
		dashboard.WithHistory(aDay))
	defer board.Close()
	var gone atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gone.Load() {
			panic(http.ErrAbortHandler)
		}
		board.ServeHTTP(w, r)
	}))
	defer server.Close()

	screenshots := os.Getenv("SCREENSHOTS") // a directory, for those who want to look, too
	if screenshots == "" {
		screenshots = t.TempDir()
	}
	cmd := exec.CommandContext(t.Context(), node, "look.cjs", server.URL+"/dashboard", chromium, screenshots)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	input, err := cmd.StdinPipe()
	require.NoError(t, err)
	output, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	fleet := newFleet(t, queue)
	for lines := bufio.NewScanner(output); lines.Scan(); {
		switch lines.Text() {
		case "ready":
			fleet.start()
		case "looked at":
			fleet.thin()
		case "queue away":
			watched.away.Store(true)
		case "queue back":
			watched.away.Store(false)
		case "server away":
			gone.Store(true)
			server.CloseClientConnections()
		case "server back":
			gone.Store(false)
		}
		_, err := io.WriteString(input, "done\n")
		require.NoError(t, err)
	}
	assert.NoError(t, cmd.Wait(), "%s", &complaint)
}
