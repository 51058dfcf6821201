package main_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// A person who may see one bot is not always meant to see all: a server shows other
// queues only if it is configured to, and only to clients that have its token.
func TestServe_ShowsOtherQueuesOnlyIfItIsTold(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	server := redistest.Start(t)
	queueOf(t, server, "1234", 0, 2)
	queueOf(t, server, "5678", 1)
	first := func(url string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
		require.NoError(t, err)
		req.SetBasicAuth("any", token)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if resp.StatusCode != http.StatusOK || strings.HasPrefix(lines.Text(), "data: ") {
				return lines.Text()
			}
		}
		return ""
	}
	env := []string{"GATEWAYQUEUE_AUTH_TOKEN=" + token}
	alone := serve(t, env, "--redis", "redis://"+server.Addr, "--app", "1234")
	assert.NotContains(t, first(alone.URL+"/dashboard/events"), "5678")

	s := serve(t, env, "--redis", "redis://"+server.Addr, "--app", "1234", "--applications")
	code, _ := s.get("/dashboard/app/5678")
	assert.Equal(t, http.StatusUnauthorized, code)
	assert.Contains(t, first(s.URL+"/dashboard/events"), `"app":"5678","link":"/dashboard/app/5678"`)
	assert.Contains(t, first(s.URL+"/dashboard/app/5678/events"), `"app":"5678"`)
	assert.Contains(t, first(s.URL+"/dashboard/app/none/events"), "no queue of this application is known here")
}
