package main_test

import (
	"bufio"
	"encoding/json"
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
	assert.Contains(t, first(s.URL+"/dashboard/app/none/events"), "Redis has no queue of this application")
}

// Behind a balancer the page of an application comes from any server, also from one that
// has listed nothing so far, and as soon as there is a queue.
func TestServe_OpensThePageOfAnotherQueueDirectly(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	queueOf(t, server, "1234", 0)
	s := serve(t, nil, "--redis", "redis://"+server.Addr, "--app", "1234", "--applications")
	for _, path := range []string{"/dashboard/app/5678", "/dashboard/app/*", "/dashboard/app/", "/dashboard/app/56%7D78"} {
		code, text := s.get(path)
		assert.Equal(t, http.StatusNotFound, code, "%s: %s", path, text)
	}
	queueOf(t, server, "5678", 1)
	for _, path := range []string{"/dashboard/app/5678", "/dashboard/app/5678/"} {
		code, text := s.get(path)
		assert.Equal(t, http.StatusOK, code, "%s: %s", path, text)
	}
	require.NoError(t, server.Client(t).Set(t.Context(), "identify:{broken}:limits", "x", 0).Err())
	code, text := s.get("/dashboard/app/broken") // the page says what is wrong
	assert.Equal(t, http.StatusOK, code, text)
}

// Each application is listed as it is: one that is broken or that the user may not read
// says so, without a budget that nobody knows, and one that is gone is not listed.
func TestServe_ListsApplicationsAsTheyAre(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := server.Client(t)
	queueOf(t, server, "1234", 0, 2)
	for _, app := range []string{"lost", "secret", "gone"} {
		queueOf(t, server, app, 1)
	}
	for _, command := range [][]any{
		{"SET", "identify:{typed}:limits", "x"},
		{"HSET", "identify:{edited}:limits", "epoch", "e", "total", "many"},
		{"DEL", "identify:{lost}:remaining"},
		{"DEL", "identify:{gone}:limits"},
		{"HSET", "identify:{resumed}:limits", "paused_until", "5"}, // before it was ever started
		{"ACL", "SETUSER", "reader", "on", ">pw", "+@all", "~identify:{1234}:*", "~identify:{typed}:*", "~identify:{edited}:*", "~identify:{lost}:*", "~identify:{resumed}:*"},
	} {
		require.NoError(t, client.Do(t.Context(), command...).Err(), command)
	}
	s := serve(t, nil, "--redis", "redis://reader:pw@"+server.Addr, "--app", "1234", "--applications")
	_, text, _ := strings.Cut(page(t, s), `"apps":`)
	var apps []struct {
		App, State  string
		Left, Total int
	}
	require.NoError(t, json.NewDecoder(strings.NewReader(text)).Decode(&apps), text)
	states := map[string]string{}
	for _, a := range apps {
		states[a.App] = a.State
		assert.Equal(t, a.App == "1234", a.Total > 0, "%+v", a)
	}
	assert.Len(t, states, 5, "%v", states)
	assert.NotContains(t, states["1234"], "no grants")
	assert.Contains(t, states["typed"], "no grants: identify:{typed}:limits holds another type")
	assert.Contains(t, states["edited"], "no grants: identify:{edited}:limits ")
	assert.Contains(t, states["lost"], "no grants: ")
	assert.Contains(t, states["secret"], "cannot be read: ")
}
