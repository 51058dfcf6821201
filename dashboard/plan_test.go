package dashboard_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/dashboard"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/rollout"
)

func TestPlan_IsByTheLatestPicture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 700, ResetAfter: time.Hour, MaxConcurrency: 2}
		queue, err := memqueue.New(limit)
		require.NoError(t, err)
		defer queue.Close()
		board := dashboard.New(queue)
		defer board.Close()
		ask := func(query string) *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			board.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/dashboard/plan"+query, http.NoBody))
			return w
		}
		assert.Equal(t, http.StatusServiceUnavailable, ask("?shards=10").Code, "nobody has looked")
		go board.Run(t.Context())
		synctest.Wait()
		w := ask("?shards=10")
		require.Equal(t, http.StatusOK, w.Code, w.Body)
		var plan rollout.Plan
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &plan))
		assert.True(t, plan.OK)
		assert.Equal(t, 690, plan.Left)
		assert.Equal(t, 21*time.Second, plan.Takes)
		for _, query := range []string{"", "?shards=x", "?shards=0", "?shards=-1", "?shards=1&crash_reserve=5", "?shards=1&shards=2", "?shards=1&at=%2B5h", "?shards=1;x"} {
			assert.Equal(t, http.StatusBadRequest, ask(query).Code, query)
		}
	})
}
