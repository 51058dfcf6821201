// Pausing grants over HTTP, for operators: the only routes that no one may use
// without a token.

package httpqueue

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// MaxWho is how many bytes an operator's name has at most in an order through a server:
// behind it, the order also says from where it came.
const MaxWho = 50

// pauses is what /v1/pause shows: the pause in force, and what was ordered before.
type pauses struct {
	Pause *gatewayqueue.PauseStatus `json:"pause,omitempty"` // none while grants are not paused
	Audit []gatewayqueue.AuditEntry `json:"audit"`           // the latest first
}

// orderRequest is the body of an order.
type orderRequest struct {
	Who   string `json:"who"`
	Why   string `json:"why"`
	ForMS *int64 `json:"for_ms"`
}

// pauser is the queue, if it takes orders.
func (h *Handler) pauser() (gatewayqueue.Pauser, *problem) {
	queue, ok := h.queue.(gatewayqueue.Pauser)
	if !ok {
		return nil, newProblem(http.StatusNotImplemented, "unsupported", "this queue cannot be paused")
	}
	return queue, nil
}

// getPause is GET /v1/pause.
func (h *Handler) getPause(w http.ResponseWriter, r *http.Request, _ string) *problem {
	queue, bad := h.pauser()
	if bad != nil {
		return bad
	}
	status, bad := h.status(r.Context())
	if bad != nil {
		return bad
	}
	ctx, cancel := context.WithTimeout(r.Context(), settleTimeout)
	defer cancel()
	audit, err := queue.Audit(ctx)
	if err != nil {
		return h.problemOf(err)
	}
	writeJSON(w, http.StatusOK, pauses{status.Pause, append([]gatewayqueue.AuditEntry{}, audit...)})
	return nil
}

// postPause is POST /v1/pause.
func (h *Handler) postPause(w http.ResponseWriter, r *http.Request, _ string) *problem {
	return h.order(w, r, func(ctx context.Context, queue gatewayqueue.Pauser, o gatewayqueue.Order) error {
		return queue.Pause(ctx, o)
	})
}

// postResume is POST /v1/resume.
func (h *Handler) postResume(w http.ResponseWriter, r *http.Request, _ string) *problem {
	return h.order(w, r, func(ctx context.Context, queue gatewayqueue.Pauser, o gatewayqueue.Order) error {
		return queue.Resume(ctx, o)
	})
}

// order takes an order.
func (h *Handler) order(w http.ResponseWriter, r *http.Request, give func(context.Context, gatewayqueue.Pauser, gatewayqueue.Order) error) *problem {
	queue, bad := h.pauser()
	if bad != nil {
		return bad
	}
	var body orderRequest
	if p, _ := readBody(w, r, &body, true); p != nil {
		return p
	}
	order := gatewayqueue.Order{Who: body.Who, Why: body.Why}
	switch {
	case len(order.Who) > MaxWho:
		return invalid("who", fmt.Sprintf("%d bytes long", len(order.Who)), fmt.Sprintf("at most %d bytes, or none", MaxWho))
	case body.ForMS != nil && (*body.ForMS < 1 || *body.ForMS > 1<<43):
		return invalid("for_ms", *body.ForMS, "milliseconds, 1000 to 31622400000 (366 days); left out, until somebody resumes")
	case body.ForMS != nil:
		order.For = time.Duration(*body.ForMS) * time.Millisecond
	}
	if order.Who == "" {
		order.Who = "a holder of the token"
	}
	order.Who += " at " + addressOf(r)
	ctx, cancel := context.WithTimeout(r.Context(), settleTimeout)
	defer cancel()
	if err := give(ctx, queue, order); err != nil {
		return h.problemOf(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// addressOf is from where a request came, as far as is certain: what a proxy says of
// it in a header anybody could say.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	if host == "" {
		return "an unknown address"
	}
	return host
}
