// Permits under /v1: granted, renewed, settled and looked at. Those of a queue
// that exports them are kept by their clients; the handler keeps the others.

package httpqueue

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// renewable is a permit whose Deadline moves on when it is renewed.
type renewable interface {
	gatewayqueue.Permit
	Renew(context.Context) error
}

// permitAnswer is a permit to a client.
type permitAnswer struct {
	ID      string `json:"id"`
	Shard   *int   `json:"shard,omitempty"`
	Bucket  *int   `json:"bucket,omitempty"`
	GoodFor int64  `json:"good_for_ms"` // from now; renew it before
}

// handOut answers with a permit.
func (h *Handler) handOut(w http.ResponseWriter, p *poll) *problem {
	permit := p.granted
	var id string
	good := h.held.until(permit)
	if h.shared != nil {
		record, err := h.shared.Export(permit)
		if err != nil {
			h.giveBack(permit)
			return h.problemOf(err)
		}
		id, good = h.seal.close(recordKind, record), permit.Deadline()
	} else {
		id = h.seal.close(heldKind, h.held.add(permit, good))
	}
	answer := permitAnswer{ID: id, Shard: &p.shard, GoodFor: millis(time.Until(good))}
	answer.Bucket = bucketOf(permit)
	w.Header().Set("Location", "/v1/permits/"+id)
	writeJSON(w, http.StatusCreated, answer)
	return nil
}

// millis rounds down and is not negative.
func millis(d time.Duration) int64 { return max(0, d.Milliseconds()) }

func bucketOf(permit gatewayqueue.Permit) *int {
	if p, ok := permit.(interface{ Bucket() int }); ok {
		b := p.Bucket()
		return &b
	}
	return nil
}

// permitOf is the permit of an ID.
func (h *Handler) permitOf(id string) (gatewayqueue.Permit, *problem) {
	kind, text, ok := h.seal.open(id)
	switch {
	case ok && kind == recordKind && h.shared != nil:
		permit, err := h.shared.Import(text)
		if err != nil {
			break
		}
		return permit, nil
	case ok && kind == heldKind:
		if permit, ok := h.held.get(text); ok {
			return permit, nil
		}
		return nil, newProblem(http.StatusGone, "gone", "the permit was settled, or has lapsed, or was another server's")
	}
	return nil, newProblem(http.StatusNotFound, "not-found", "this is no permit of this queue")
}

// putPermit is PUT /v1/permits/{id}: the client lives and still dials.
func (h *Handler) putPermit(w http.ResponseWriter, r *http.Request, id string) *problem {
	permit, bad := h.permitOf(id)
	if bad != nil {
		return bad
	}
	renewed, ok := permit.(renewable)
	if !ok {
		return newProblem(http.StatusNotImplemented, "unsupported", "this queue's permits cannot be renewed")
	}
	ctx, cancel := context.WithTimeout(r.Context(), settleTimeout)
	defer cancel()
	if err := renewed.Renew(ctx); err != nil {
		if !errors.Is(err, gatewayqueue.ErrPermitExpired) && !known(err) {
			h.options.log.Warn("could not renew a permit", "error", err)
			err = context.DeadlineExceeded // the store is away: come again
		}
		return h.problemOf(err)
	}
	writeJSON(w, http.StatusOK, permitAnswer{ID: id, Bucket: bucketOf(permit), GoodFor: millis(time.Until(permit.Deadline()))})
	return nil
}

// postIdentified is POST /v1/permits/{id}/identified: IDENTIFY was sent.
func (h *Handler) postIdentified(w http.ResponseWriter, r *http.Request, id string) *problem {
	return h.report(w, r, id, gatewayqueue.Permit.Identified)
}

// deletePermit is DELETE /v1/permits/{id}: no IDENTIFY was or will be sent.
func (h *Handler) deletePermit(w http.ResponseWriter, r *http.Request, id string) *problem {
	return h.report(w, r, id, gatewayqueue.Permit.Abandon)
}

func (h *Handler) report(w http.ResponseWriter, r *http.Request, id string, report func(gatewayqueue.Permit, context.Context) error) *problem {
	permit, bad := h.permitOf(id)
	if bad != nil {
		return bad
	}
	ctx, cancel := context.WithTimeout(r.Context(), settleTimeout)
	defer cancel()
	if err := report(permit, ctx); err != nil {
		return h.problemOf(err)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// getPermit is GET /v1/permits/{id}.
func (h *Handler) getPermit(w http.ResponseWriter, r *http.Request, id string) *problem {
	permit, bad := h.permitOf(id)
	if bad != nil {
		return bad
	}
	looked, ok := permit.(interface {
		Held(context.Context) (time.Duration, error)
	})
	if !ok {
		return newProblem(http.StatusNotImplemented, "unsupported", "this queue's permits cannot be looked at")
	}
	closed, err := looked.Held(r.Context())
	if err != nil {
		return h.problemOf(err)
	}
	writeJSON(w, http.StatusOK, struct {
		ID     string `json:"id"`
		Bucket *int   `json:"bucket,omitempty"`
		Held   bool   `json:"held"`
		Closed int64  `json:"closed_ms"` // the bucket, until then at the most
	}{id, bucketOf(permit), closed > 0, millis(closed)})
	return nil
}
