// The history of a queue: what it granted in the last day, to read.

package httpqueue

import (
	"context"
	"net/http"

	"github.com/gatewayqueue/gatewayqueue"
)

// historian is a queue that knows what it granted.
type historian interface {
	History(ctx context.Context) ([]gatewayqueue.Minute, error)
}

// historyAnswer is the body of GET /v1/history.
type historyAnswer struct {
	Minutes []gatewayqueue.Minute `json:"minutes"`
}

// getHistory is GET /v1/history.
func (h *Handler) getHistory(w http.ResponseWriter, r *http.Request, _ string) *problem {
	queue, ok := h.queue.(historian)
	if !ok {
		return newProblem(http.StatusNotImplemented, "unsupported", "this queue has no history")
	}
	ctx, cancel := context.WithTimeout(r.Context(), settleTimeout)
	defer cancel()
	minutes, err := queue.History(ctx)
	if err != nil {
		return h.problemOf(err)
	}
	if minutes == nil {
		minutes = []gatewayqueue.Minute{} // none, rather than null
	}
	writeJSON(w, http.StatusOK, historyAnswer{minutes})
	return nil
}
