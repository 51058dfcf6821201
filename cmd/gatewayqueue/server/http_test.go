package server

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestBuffered_WhoComesWhileAllPlacesAreTakenWaits(t *testing.T) {
	var now, most atomic.Int32
	h := Buffered(2, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		w.WriteHeader(http.StatusAccepted)
	}))
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			assert.Equal(t, http.StatusAccepted, w.Code)
		})
	}
	all.Wait()
	assert.LessOrEqual(t, most.Load(), int32(2))
}

func TestBuffered_AHandlerThatPanicsLeavesItsPlace(t *testing.T) {
	h := Buffered(1, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	for range 3 {
		assert.Panics(t, func() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
		})
	}
}
