package httpqueue_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

func TestHistory_IsTheQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		queue, err := memqueue.New(gatewayqueue.DefaultLimit(), memqueue.WithHistory())
		require.NoError(t, err)
		defer queue.Close()
		handler, err := httpqueue.NewHandler(queue)
		require.NoError(t, err)
		get := func() *httptest.ResponseRecorder {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/history", nil))
			return w
		}
		assert.JSONEq(t, `{"minutes":[]}`, get().Body.String())
		require.NoError(t, queue.Wait(t.Context(), 0))
		time.Sleep(time.Minute)
		w := get()
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Regexp(t, `^\{"minutes":\[\{"start":"[^"]+","granted":1,"remaining":999,"total":1000,"wait_p50_ns":1000000,"wait_p99_ns":1000000,"waits":\{"0":1\}\}\]\}\n$`, w.Body.String())
		require.NoError(t, handler.Close())
	})
}

func TestClient_ReadsTheHistory(t *testing.T) {
	want := []gatewayqueue.Minute{
		{Start: time.UnixMilli(60_000).UTC(), Granted: 7, Returned: 1, Unknown: true, P50: time.Second, P99: time.Minute, Waits: gatewayqueue.Waits{30: 4, 48: 3}},
		{Start: time.UnixMilli(120_000).UTC(), Granted: 1, Remaining: 9, Total: 10, P50: time.Second, P99: time.Second, Waits: gatewayqueue.Waits{30: 1}},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, "/v1/history", r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"minutes":[
			{"start":"1970-01-01T00:01:00Z","granted":7,"returned":1,"remaining":0,"total":0,"unknown":true,"wait_p50_ns":1000000000,"wait_p99_ns":60000000000,"waits":{"30":4,"48":3}},
			{"start":"1970-01-01T00:02:00Z","granted":1,"remaining":9,"total":10,"wait_p50_ns":1000000000,"wait_p99_ns":1000000000,"waits":{"30":1}}]}`))
	}))
	defer server.Close()
	client, err := httpqueue.NewClient(server.URL)
	require.NoError(t, err)
	defer client.Close()
	got, err := client.History(t.Context())
	require.NoError(t, err)
	for i := range got {
		got[i].Start = got[i].Start.UTC()
	}
	assert.Equal(t, want, got)
}
