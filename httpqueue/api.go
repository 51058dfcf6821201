// The routes under /v1: which there are, who may use them, and their bodies.

package httpqueue

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed" // the API's description
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
)

// maxBody bounds the body of a request; a real one has some hundred bytes.
const maxBody = 16 << 10

//go:embed openapi.json
var openAPI []byte

type call func(w http.ResponseWriter, r *http.Request, id string) *problem

// method is what a route does for one method.
type method struct {
	name string
	call call
}

// routeOf finds the methods of a path. id is the part of the path in braces.
func (h *Handler) routeOf(path string) (id string, methods []method) {
	switch path {
	case "/v1/permits":
		return "", []method{{http.MethodPost, h.postPermit}}
	case "/v1/identifies":
		return "", []method{{http.MethodPost, h.postIdentify}}
	case "/v1/sandwich":
		return "", []method{{http.MethodPost, h.postSandwich}}
	case "/v1/pause":
		return "", []method{{http.MethodGet, h.getPause}, {http.MethodPost, h.postPause}}
	case "/v1/resume":
		return "", []method{{http.MethodPost, h.postResume}}
	case "/v1/status":
		return "", []method{{http.MethodGet, h.getStatus}}
	case "/v1/history":
		return "", []method{{http.MethodGet, h.getHistory}}
	case "/v1/plan":
		return "", []method{{http.MethodGet, h.getPlan}}
	case "/v1/limits":
		return "", []method{{http.MethodGet, h.getLimits}, {http.MethodPut, h.putLimits}}
	}
	if rest, ok := strings.CutPrefix(path, "/v1/permits/"); ok {
		id, action, settles := strings.Cut(rest, "/")
		switch {
		case id != "" && !settles: // /v1/permits/{id}
			return id, []method{{http.MethodGet, h.getPermit}, {http.MethodPut, h.putPermit}, {http.MethodDelete, h.deletePermit}}
		case id != "" && action == "identified": // /v1/permits/{id}/identified
			return id, []method{{http.MethodPost, h.postIdentified}}
		}
	}
	if key, ok := strings.CutPrefix(path, "/v1/waits/"); ok && key != "" && !strings.Contains(key, "/") {
		return key, []method{{http.MethodDelete, h.deleteWait}}
	}
	return "", nil
}

func (h *Handler) api(w http.ResponseWriter, r *http.Request) {
	if p := h.apiCall(w, r); p != nil {
		p.write(w)
	}
}

func (h *Handler) apiCall(w http.ResponseWriter, r *http.Request) *problem {
	if r.URL.Path == "/v1/openapi.json" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		writeRaw(w, http.StatusOK, openAPI)
		return nil
	}
	if !h.authorized(r) {
		return newProblem(http.StatusUnauthorized, "unauthorized", "send Authorization: Bearer and the token of this server")
	}
	id, methods := h.routeOf(r.URL.Path)
	if methods == nil {
		return newProblem(http.StatusNotFound, "not-found", "there is nothing at this path: see /v1/openapi.json")
	}
	allow := make([]string, len(methods))
	for i, m := range methods {
		if m.name == r.Method || m.name == http.MethodGet && r.Method == http.MethodHead {
			if m.name != http.MethodGet {
				if p := h.foreign(r, h.options.token != ""); p != nil {
					return p
				}
			}
			return m.call(w, r, id)
		}
		allow[i] = m.name
	}
	p := newProblem(http.StatusMethodNotAllowed, "method", "this path answers "+strings.Join(allow, ", "))
	p.allow = strings.Join(allow, ", ")
	return p
}

// authorized compares hashes, so that the time it takes tells nothing.
func (h *Handler) authorized(r *http.Request) bool {
	if h.options.token == "" {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got, want := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(h.options.token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// readBody reads a JSON body into v, as decode does. strict says besides that the
// client must call it JSON. empty says that the body is empty.
func readBody(w http.ResponseWriter, r *http.Request, v any, strict bool) (p *problem, empty bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return newProblem(http.StatusRequestEntityTooLarge, "too-large", fmt.Sprintf("a body has at most %d bytes", maxBody)), false
	case err != nil:
		p := newProblem(http.StatusBadRequest, "invalid", "the body has not arrived in full")
		p.close = true
		return p, false
	}
	bodyArrived(w)
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, true
	}
	// A page in a browser can send anything to a server on its user's loopback,
	// but not JSON by this name. (Its other requests are found by their headers.)
	kind, more, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, coding := more["charset"], r.Header.Get("Content-Encoding")
	if strict && (err != nil || kind != "application/json" || charset != "" && !strings.EqualFold(charset, "utf-8")) {
		return newProblem(http.StatusUnsupportedMediaType, "media-type", "send the body as Content-Type: application/json, in UTF-8"), false
	}
	if coding != "" && !strings.EqualFold(coding, "identity") {
		return newProblem(http.StatusUnsupportedMediaType, "media-type", "send the body as it is, without a Content-Encoding"), false
	}
	return decode(body, v, strict), false
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // a value of ours that is no JSON
	}
	writeRaw(w, status, append(body, '\n'))
}

func writeRaw(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
