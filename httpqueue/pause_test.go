package httpqueue_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
)

const bearer = "Authorization: Bearer secret"

func TestPause_IsRefusedWithoutAToken(t *testing.T) {
	queue := inMemory(t, full(1))
	s := serve(t, queue)
	for _, path := range []string{"/v1/pause", "/v1/resume"} {
		r := s.do(t, "POST", path, `{"who":"alice","why":"no token"}`, bearer)
		assert.Equal(t, http.StatusForbidden, r.status)
		assert.Contains(t, r.body["detail"], "serve --auth-token-file")
	}
	guarded := serve(t, queue, httpqueue.WithBearerToken("secret"))
	for name, headers := range map[string][]string{
		"without one":  nil,
		"with another": {"Authorization: Bearer other"},
		"of a browser": {"Authorization: Basic OnNlY3JldA=="}, // sent by itself, so it shows no intent
		"in a cookie":  {"Cookie: token=secret"},
	} {
		assert.Equal(t, http.StatusUnauthorized, guarded.do(t, "POST", "/v1/pause", `{"why":"a guess"}`, headers...).status, name)
	}
	for name, headers := range map[string][]string{
		"a page of another site":           {bearer, "Origin: https://elsewhere.example"},
		"a page of another site, fetching": {bearer, "Sec-Fetch-Site: cross-site"},
	} {
		assert.Equal(t, http.StatusForbidden, guarded.do(t, "POST", "/v1/pause", `{"why":"a page"}`, headers...).status, name)
	}
	assert.Equal(t, http.StatusUnsupportedMediaType, guarded.do(t, "POST", "/v1/pause", `{"why":"a form"}`, bearer, "Content-Type: text/plain").status)
	assert.Equal(t, http.StatusMethodNotAllowed, guarded.do(t, "GET", "/v1/resume", "", bearer).status, "a link resumes nothing")
	status, err := queue.Status(t.Context())
	require.NoError(t, err)
	assert.Nil(t, status.Pause)
}

func TestPause_SaysFromWhereItCame(t *testing.T) {
	queue := inMemory(t, full(1))
	s := serveTCP(t, queue, httpqueue.WithBearerToken("secret"))
	require.Equal(t, http.StatusNoContent, s.do(t, "POST", "/v1/pause", `{"who":"alice","why":"Discord is down","for_ms":1800000}`, bearer, "X-Forwarded-For: 10.1.1.1").status)
	r := s.do(t, "GET", "/v1/pause", "", bearer)
	require.Equal(t, http.StatusOK, r.status)
	pause := r.body["pause"].(map[string]any)
	assert.Equal(t, "alice at 127.0.0.1", pause["who"])
	assert.Equal(t, "Discord is down", pause["why"])
	assert.NotEmpty(t, pause["until"])
	require.Equal(t, http.StatusNoContent, s.do(t, "POST", "/v1/resume", `{"why":"it is up"}`, bearer).status)
	r = s.do(t, "GET", "/v1/pause", "", bearer)
	assert.NotContains(t, r.body, "pause")
	audit := r.body["audit"].([]any)
	require.Len(t, audit, 2)
	assert.Equal(t, "a holder of the token at 127.0.0.1", audit[0].(map[string]any)["who"])
}

func TestPause_OfAQueueThatCannotBePausedIsNotImplemented(t *testing.T) {
	s := serve(t, &counted{PermitQueue: inMemory(t, full(1))}, httpqueue.WithBearerToken("secret"))
	assert.Equal(t, http.StatusNotImplemented, s.do(t, "POST", "/v1/pause", `{"why":"to see"}`, bearer).status)
	assert.Equal(t, http.StatusNotImplemented, s.do(t, "GET", "/v1/pause", "", bearer).status)
}

func TestClientPause_SaysWhatIsWrong(t *testing.T) {
	s := serve(t, inMemory(t, full(1)))
	err := s.dial(t).Pause(t.Context(), gatewayqueue.Order{Who: "alice", Why: "no token"})
	require.ErrorContains(t, err, "answers 403 Forbidden: this server has no token")
	guarded := serve(t, inMemory(t, full(1)), httpqueue.WithBearerToken("secret"))
	err = guarded.dial(t, httpqueue.WithToken("secret")).Pause(t.Context(), gatewayqueue.Order{Who: strings.Repeat("x", 51), Why: "a long name"})
	require.ErrorIs(t, err, gatewayqueue.ErrInvalid)
	require.ErrorContains(t, err, "at most 50 bytes")
}
