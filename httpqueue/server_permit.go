// Permits under /v1: granted, renewed, settled and looked at. Those of a queue
// that exports them are kept by their clients; the handler keeps the others.

package httpqueue

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// renewable is a permit whose Deadline moves on when it is renewed.
type renewable interface {
	gatewayqueue.Permit
	Renew(context.Context) error
}

// identifiedWithin is a permit that can be reported before its IDENTIFY leaves.
type identifiedWithin interface {
	IdentifiedWithin(ctx context.Context, d time.Duration) error
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
	seal, err := h.seals.seal(context.Background())
	if err != nil {
		h.giveBack(permit)
		return h.problemOf(err)
	}
	if h.shared != nil {
		record, err := h.shared.Export(permit)
		if err != nil {
			h.giveBack(permit)
			return h.problemOf(err)
		}
		id, good = seal.close(recordKind, record), permit.Deadline()
	} else {
		id = seal.close(heldKind, h.held.add(permit, good))
	}
	if p.key != "" {
		h.note(p, notedPermit+id)
	} else {
		h.note(p, notedTicket)
	}
	h.writePermit(w, p, id, permit, good)
	return nil
}

// writePermit answers with a permit that is good until then.
func (h *Handler) writePermit(w http.ResponseWriter, p *poll, id string, permit gatewayqueue.Permit, good time.Time) {
	answer := permitAnswer{ID: id, Shard: &p.shard, GoodFor: millis(time.Until(good))}
	answer.Bucket = bucketOf(permit)
	w.Header().Set("Location", "/v1/permits/"+id)
	writeJSON(w, http.StatusCreated, answer)
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
func (h *Handler) permitOf(ctx context.Context, id string) (gatewayqueue.Permit, *problem) {
	kind, text, ok, err := h.seals.open(ctx, id)
	if err != nil {
		return nil, h.problemOf(err)
	}
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
		bad := newProblem(http.StatusGone, "gone", "this server knows nothing of the permit: it ended long ago, or was another server's")
		switch h.held.reason(text) {
		case reasonSettled:
			bad = h.problemOf(gatewayqueue.ErrPermitSettled)
		case reasonLapsed:
			bad = h.problemOf(gatewayqueue.ErrPermitExpired)
		}
		bad.held = text
		return nil, bad
	}
	return nil, newProblem(http.StatusNotFound, "not-found", "this is no permit of this queue; after a change of the bearer token, or a loss of Redis's data, no earlier one is")
}

// putPermit is PUT /v1/permits/{id}: the client lives and still dials.
func (h *Handler) putPermit(w http.ResponseWriter, r *http.Request, id string) *problem {
	permit, bad := h.permitOf(r.Context(), id)
	if bad != nil {
		return bad
	}
	if bad := h.renew(r.Context(), permit); bad != nil {
		return bad
	}
	writeJSON(w, http.StatusOK, permitAnswer{ID: id, Bucket: bucketOf(permit), GoodFor: millis(time.Until(permit.Deadline()))})
	return nil
}

// renew renews a permit, once.
func (h *Handler) renew(ctx context.Context, permit gatewayqueue.Permit) *problem {
	renewed, ok := permit.(renewable)
	if !ok {
		return newProblem(http.StatusNotImplemented, "unsupported", "this queue's permits cannot be renewed")
	}
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	if err := renewed.Renew(ctx); err != nil {
		if !errors.Is(err, gatewayqueue.ErrPermitExpired) && !known(err) {
			h.options.log.Warn("could not renew a permit", "error", err)
			err = context.DeadlineExceeded // the store is away: come again
		}
		return h.problemOf(err)
	}
	return nil
}

// identifiedRequest is the body of POST /v1/permits/{id}/identified, if it has
// one.
type identifiedRequest struct {
	Within int64 `json:"within_ms"` // IDENTIFY leaves up to then, counted from the request
}

// postIdentified is POST /v1/permits/{id}/identified: IDENTIFY was sent, or is
// about to be.
func (h *Handler) postIdentified(w http.ResponseWriter, r *http.Request, id string) *problem {
	var body identifiedRequest
	if bad, _ := readBody(w, r, &body, true); bad != nil {
		return bad
	}
	if body.Within < 0 || body.Within > time.Minute.Milliseconds() {
		return invalid("within_ms", body.Within, fmt.Sprintf("0 to %d", time.Minute.Milliseconds()))
	}
	var within time.Duration
	if body.Within > 0 {
		within = max(time.Duration(body.Within)*time.Millisecond, h.options.margin)
	}
	return h.report(w, r, id, within, func(permit gatewayqueue.Permit, ctx context.Context) error {
		later, ok := permit.(identifiedWithin)
		if within == 0 || !ok {
			return permit.Identified(ctx)
		}
		return later.IdentifiedWithin(ctx, within)
	})
}

// deletePermit is DELETE /v1/permits/{id}: no IDENTIFY was or will be sent.
func (h *Handler) deletePermit(w http.ResponseWriter, r *http.Request, id string) *problem {
	return h.report(w, r, id, 0, gatewayqueue.Permit.Abandon)
}

// report hears how a permit has ended.
func (h *Handler) report(w http.ResponseWriter, r *http.Request, id string, within time.Duration, report func(gatewayqueue.Permit, context.Context) error) *problem {
	permit, bad := h.permitOf(r.Context(), id)
	if bad != nil && h.held.hears(bad.held, r.Method != http.MethodDelete, within) {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
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
	permit, bad := h.permitOf(r.Context(), id)
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
		Closed int64  `json:"closed_ms"` // for how long the bucket stays closed at most
	}{id, bucketOf(permit), closed > 0, millis(closed)})
	return nil
}
