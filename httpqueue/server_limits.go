// The state of the queue and its limits, to read and to change; and the one
// route of another system that fits under /v1.

package httpqueue

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// updater is a queue whose limits can be changed.
type updater interface {
	Update(ctx context.Context, limit gatewayqueue.SessionStartLimit) error
}

func (h *Handler) status(ctx context.Context) (gatewayqueue.Status, *problem) {
	queue, ok := h.queue.(gatewayqueue.StatusReader)
	if !ok {
		return gatewayqueue.Status{}, newProblem(http.StatusNotImplemented, "unsupported", "this queue cannot be looked at")
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	status, err := queue.Status(ctx)
	if err != nil {
		return status, h.problemOf(err)
	}
	return status, nil
}

// getStatus is GET /v1/status.
func (h *Handler) getStatus(w http.ResponseWriter, r *http.Request, _ string) *problem {
	status, bad := h.status(r.Context())
	if bad != nil {
		return bad
	}
	h.addStorm(r.Context(), &status)
	writeJSON(w, http.StatusOK, status)
	return nil
}

// getLimits is GET /v1/limits: the limits in force, as Discord writes them.
func (h *Handler) getLimits(w http.ResponseWriter, r *http.Request, _ string) *problem {
	status, bad := h.status(r.Context())
	if bad != nil {
		return bad
	}
	b := status.Budget
	if h.shared != nil && b.MaxConcurrency == 0 { // absent is not zero
		return newProblem(http.StatusServiceUnavailable, "unavailable", "the queue has no limits yet: nobody has waited since its store was empty")
	}
	limit := gatewayqueue.SessionStartLimit{Total: b.Total, Remaining: b.Remaining, MaxConcurrency: b.MaxConcurrency}
	if !b.Reset.IsZero() {
		limit.ResetAfter = max(0, b.Reset.Sub(status.Time))
	}
	writeJSON(w, http.StatusOK, limit)
	return nil
}

// limitsRequest has pointers, because an omitted max_concurrency must not
// switch the limit off.
type limitsRequest struct {
	Total          *int   `json:"total"`
	Remaining      *int   `json:"remaining"`
	ResetAfter     *int64 `json:"reset_after"` // ms, as Discord writes it
	MaxConcurrency *int   `json:"max_concurrency"`
}

// putLimits is PUT /v1/limits.
func (h *Handler) putLimits(w http.ResponseWriter, r *http.Request, _ string) *problem {
	queue, ok := h.queue.(updater)
	if !ok {
		return newProblem(http.StatusNotImplemented, "unsupported", "this queue's limits cannot be changed")
	}
	var body limitsRequest
	if p, _ := readBody(w, r, &body, true); p != nil {
		return p
	}
	switch {
	case body.Total == nil:
		return invalid("total", "missing", "0 or more")
	case body.Remaining == nil:
		return invalid("remaining", "missing", "0 or more")
	case body.ResetAfter == nil:
		return invalid("reset_after", "missing", "milliseconds, 0 or more")
	case body.MaxConcurrency == nil:
		return invalid("max_concurrency", "missing", "0 or more")
	case *body.ResetAfter < 0 || *body.ResetAfter > 1<<43:
		return invalid("reset_after", *body.ResetAfter, "milliseconds, 0 to "+strconv.Itoa(1<<43))
	}
	ctx, cancel := context.WithTimeout(r.Context(), settleTimeout)
	defer cancel()
	if err := queue.Update(ctx, gatewayqueue.SessionStartLimit{
		Total: *body.Total, Remaining: *body.Remaining, MaxConcurrency: *body.MaxConcurrency,
		ResetAfter: time.Duration(*body.ResetAfter) * time.Millisecond,
	}); err != nil {
		return h.problemOf(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// postSandwich is POST /v1/sandwich, for Sandwich's IdentifyViaURL: 204 is go,
// anything else is asked again after X-Retry-After-Ms. Of the body only the
// shard is looked at; the token in it is not.
func (h *Handler) postSandwich(w http.ResponseWriter, r *http.Request, _ string) *problem {
	var body struct {
		Shard *int `json:"shard_id"`
	}
	bad, _ := readBody(w, r, &body, false)
	switch {
	case bad != nil:
	case body.Shard == nil:
		bad = invalid("shard_id", "missing", "0 or more")
	case *body.Shard < 0 || *body.Shard > gatewayqueue.MaxShard:
		bad = invalid("shard_id", *body.Shard, "0 to "+strconv.Itoa(gatewayqueue.MaxShard))
	default:
		err := h.answerOnce(w, r, *body.Shard, func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) })
		if err == nil {
			return nil
		}
		if r.Context().Err() != nil {
			drop()
		}
		if errors.Is(err, errShutdown) {
			err = errShutdown
		}
		bad = h.problemOf(err)
	}
	w.Header().Set("X-Retry-After-Ms", "1000")
	return bad
}
