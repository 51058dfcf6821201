package httpqueue_test

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/rollout"
)

// stormyQueue is a queue to which proxies have told of a storm.
type stormyQueue struct {
	*memqueue.Queue
	storm gatewayqueue.Storm
	told  []gatewayqueue.SightNews
}

func (q *stormyQueue) TellSight(_ context.Context, news gatewayqueue.SightNews) (gatewayqueue.Storm, error) {
	q.told = append(q.told, news)
	return q.storm, nil
}

func ask[T any](t *testing.T, handler http.Handler, path string) (answer T) {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	return answer
}

func TestPlan_IsThatOfTheQueuesStatus(t *testing.T) {
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 874, ResetAfter: 4 * time.Hour, MaxConcurrency: 16}
	handler, err := httpqueue.NewHandler(inMemory(t, limit))
	require.NoError(t, err)
	for path, want := range map[string]struct {
		ok   bool
		left int
		kept int
		why  gatewayqueue.Reason
	}{
		"/v1/plan?shards=160":                              {true, 714, 160, ""},
		"/v1/plan?shards=800&crash_reserve=0":              {true, 74, 0, ""},
		"/v1/plan?shards=800&crash_reserve=10%25":          {false, 74, 100, rollout.ReasonCrashReserve},
		"/v1/plan?shards=900":                              {false, 974, 250, gatewayqueue.ReasonBudget},
		"/v1/plan?shards=700&at=+5h":                       {true, 300, 250, ""},
		"/v1/plan?shards=160&within=40s&crash_reserve=720": {false, 714, 720, rollout.ReasonCrashReserve},
		"/v1/plan?shards=160&within=40s":                   {false, 714, 160, rollout.ReasonTime},
	} {
		plan := ask[rollout.Plan](t, handler, path)
		assert.Equal(t, want.ok, plan.OK, path)
		assert.Equal(t, want.left, plan.Left, path)
		assert.Equal(t, want.kept, plan.CrashReserve, path)
		assert.Equal(t, want.why, plan.Reason, path)
	}
	again := ask[rollout.Plan](t, handler, "/v1/plan?shards=900&crash_reserve=0")
	assert.WithinDuration(t, time.Now().Add(4*time.Hour), again.Next, 10*time.Minute, "about the reset: most of them fit into what is left before it")
}

func TestStorm_IsInStatusAndForbidsADeploy(t *testing.T) {
	queue := &stormyQueue{Queue: inMemory(t, full(1))}
	handler, err := httpqueue.NewHandler(queue)
	require.NoError(t, err)
	assert.Nil(t, ask[gatewayqueue.Status](t, handler, "/v1/status").Storm)
	queue.storm = gatewayqueue.Storm{Refused: 42, Since: time.Now()}
	assert.Equal(t, 42, ask[gatewayqueue.Status](t, handler, "/v1/status").Storm.Refused)
	assert.Equal(t, rollout.ReasonStorm, ask[rollout.Plan](t, handler, "/v1/plan?shards=1").Reason)
	for _, news := range queue.told {
		assert.Equal(t, gatewayqueue.SightNews{Many: math.MaxInt32}, news, "a look tells nothing, and begins no storm")
	}
}

// A parameter that nobody reads is a wish that is not granted: it is refused, with what is read.
func TestEndpoints_ThatReadRefuseParametersTheyDoNotKnow(t *testing.T) {
	handler, err := httpqueue.NewHandler(inMemory(t, full(1)))
	require.NoError(t, err)
	for path, want := range map[string]string{
		"/v1/plan?shards=1&at=9999-01-01T00:00:00Z": `at is "9999-01-01T00:00:00Z": want a moment within 366 days`,
		"/v1/plan?shards=1&reserve=5":               "there is no parameter \"reserve\": want shards, at, crash_reserve or within",
		"/v1/status?app=1":                          "there is no parameter \"app\": want none: this path takes no parameters",
		"/v1/history?each=1m":                       "there is no parameter \"each\": want none: this path takes no parameters",
		"/v1/limits?app":                            "there is no parameter \"app\": want none: this path takes no parameters",
		"/v1/pause?most=5":                          "there is no parameter \"most\": want none: this path takes no parameters",
		"/v1/permits/x?shard=1":                     "there is no parameter \"shard\": want none: this path takes no parameters",
		"/v1/status?a=%zz":                          "query is malformed: want none: this path takes no parameters",
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		var problem struct{ Detail string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem), path)
		assert.Equal(t, http.StatusBadRequest, w.Code, path)
		assert.Equal(t, want, problem.Detail, path)
	}
	for _, path := range []string{"/v1/openapi.json?v=1", "/v1/status?", "/v1/plan?shards=1"} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		assert.Equal(t, http.StatusOK, w.Code, path)
	}
}
