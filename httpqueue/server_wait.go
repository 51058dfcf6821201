// The endpoints of a wait: POST /v1/permits and /v1/identifies, and DELETE /v1/waits/{key}.

package httpqueue

import (
	"net/http"
)

// postPermit is POST /v1/permits.
func (h *Handler) postPermit(w http.ResponseWriter, r *http.Request, _ string) *problem {
	return h.poll(w, r, true)
}

// postIdentify is POST /v1/identifies: the window begins with the grant.
func (h *Handler) postIdentify(w http.ResponseWriter, r *http.Request, _ string) *problem {
	return h.poll(w, r, false)
}

func (h *Handler) poll(w http.ResponseWriter, r *http.Request, permit bool) *problem {
	p, bad := h.readPoll(w, r, permit)
	if bad != nil {
		return bad
	}
	if p.had != nil {
		h.writePermit(w, p, p.hadID, p.had, p.had.Deadline())
		return nil
	}
	if h.begins() {
		defer h.work.Done() // what is granted is answered, or goes back, before the end
		h.stand(r, p)
	} else {
		p.err, p.ended = errShutdown, errShutdown
	}
	return h.answer(w, r, p)
}

func (h *Handler) answer(w http.ResponseWriter, r *http.Request, p *poll) *problem {
	over, bad := h.outcome(r, p)
	switch {
	case bad != nil:
		return bad
	case over:
		h.waitOn(w, p)
	case p.permit:
		return h.handOut(w, p)
	default:
		h.note(p, notedIdentify)
		writeJSON(w, http.StatusOK, struct {
			Shard int `json:"shard"`
		}{p.shard})
	}
	return nil
}

// deleteWait is DELETE /v1/waits/{key}: the client leaves the line. What it is
// left with, a grant or not, is the answer to its poll.
func (h *Handler) deleteWait(w http.ResponseWriter, _ *http.Request, key string) *problem {
	if !h.leave(key) {
		return newProblem(http.StatusNotFound, "not-found", "nobody waits at this server by that key")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
