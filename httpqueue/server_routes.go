// The endpoints under /v1: which there are, and who may call them.

package httpqueue

import (
	"crypto/sha256"
	"crypto/subtle"
	_ "embed" // the API's description
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

//go:embed openapi.json
var openAPI []byte

// authority is what a caller needs for an endpoint.
type authority int

const (
	anyone   authority = iota // also where the server has a token
	bearer                    // the server's token, where it has one
	operator                  // the server's token; without one nobody may
)

// endpoint is what one method does at one path.
type endpoint struct {
	method string // HEAD is answered as GET is
	path   string // a part of it in braces is the call's id
	who    authority
	call   func(h *Handler, w http.ResponseWriter, r *http.Request, id string) *problem
	does   string // the same in docs/http.md
}

// planPath is the one path that is read with parameters.
const planPath = "/v1/plan"

// endpoints are all of /v1. openapi.json describes each, and docs/http.md lists it:
// TestEndpoints compares them.
var endpoints = []endpoint{
	{http.MethodPost, "/v1/permits", bearer, (*Handler).postPermit, "waits for a permit"},
	{http.MethodPut, "/v1/permits/{id}", bearer, (*Handler).putPermit, "renews it"},
	{http.MethodPost, "/v1/permits/{id}/identified", bearer, (*Handler).postIdentified, "IDENTIFY was sent, or leaves within `within_ms`: the window begins"},
	{http.MethodDelete, "/v1/permits/{id}", bearer, (*Handler).deletePermit, "none was or will be sent: slot and unit go back"},
	{http.MethodGet, "/v1/permits/{id}", bearer, (*Handler).getPermit, "how it stands"},
	{http.MethodPost, "/v1/identifies", bearer, (*Handler).postIdentify, "waits for the turn: the window begins with the grant"},
	{http.MethodDelete, "/v1/waits/{key}", bearer, (*Handler).deleteWait, "leaves the line"},
	{http.MethodGet, "/v1/status", bearer, (*Handler).getStatus, "a snapshot of the queue"},
	{http.MethodGet, "/v1/history", bearer, (*Handler).getHistory, "what was granted in each minute of the last 24 h"},
	{http.MethodGet, planPath, bearer, (*Handler).getPlan, "whether a fleet of `shards` may be deployed"},
	{http.MethodGet, "/v1/limits", bearer, (*Handler).getLimits, "Discord's `session_start_limit`, as the queue has it"},
	{http.MethodPut, "/v1/limits", bearer, (*Handler).putLimits, "puts another one in force"},
	{http.MethodGet, "/v1/pause", bearer, (*Handler).getPause, "whether grants are paused, by whom and why; the last 100 orders"},
	{http.MethodPost, "/v1/pause", operator, (*Handler).postPause, "stops grants: needs a token"},
	{http.MethodPost, "/v1/resume", operator, (*Handler).postResume, "resumes them: needs a token"},
	{http.MethodPost, "/v1/sandwich", bearer, (*Handler).postSandwich, "Sandwich's IdentifyViaURL"},
	{http.MethodGet, "/v1/openapi.json", anyone, (*Handler).getOpenAPI, "this API's description, to the last field"},
}

// endpointsAt are those of a path, and the part of it that is in braces.
func endpointsAt(path string) (id string, found []endpoint) {
	for _, e := range endpoints {
		if part, ok := e.matches(path); ok {
			id, found = part, append(found, e)
		}
	}
	return id, found
}

func (e endpoint) matches(path string) (id string, ok bool) {
	before, rest, open := strings.Cut(e.path, "{")
	if !open {
		return "", path == e.path
	}
	_, after, _ := strings.Cut(rest, "}")
	id, ok = strings.CutPrefix(path, before)
	if !ok {
		return "", false
	}
	id, ok = strings.CutSuffix(id, after)
	return id, ok && id != "" && !strings.Contains(id, "/")
}

func (h *Handler) api(w http.ResponseWriter, r *http.Request) {
	if p := h.apiCall(w, r); p != nil {
		p.write(w)
	}
}

func (h *Handler) apiCall(w http.ResponseWriter, r *http.Request) *problem {
	id, found := endpointsAt(r.URL.Path)
	var asked *endpoint
	allow := make([]string, len(found))
	for i, e := range found {
		allow[i] = e.method
		if e.method == r.Method || e.method == http.MethodGet && r.Method == http.MethodHead {
			asked = &found[i]
		}
	}
	if (asked == nil || asked.who != anyone) && !h.authorized(r) {
		return newProblem(http.StatusUnauthorized, "unauthorized", "send Authorization: Bearer and the token of this server")
	}
	switch {
	case found == nil:
		return newProblem(http.StatusNotFound, "not-found", "there is nothing at this path: see /v1/openapi.json")
	case asked == nil:
		p := newProblem(http.StatusMethodNotAllowed, "method", "this path answers "+strings.Join(allow, ", "))
		p.allow = strings.Join(allow, ", ")
		return p
	}
	if asked.method != http.MethodGet {
		if p := h.foreign(r, h.options.token != ""); p != nil {
			return p
		}
	}
	if asked.who == operator && h.options.token == "" {
		// What stops a whole bot needs somebody who may, and a browser sends no token by itself.
		return newProblem(http.StatusForbidden, "forbidden", "this server has no token, so it takes no orders: give it one (WithBearerToken; serve --auth-token-file)")
	}
	if p := asked.refuseQuery(r.URL.RawQuery); p != nil {
		return p
	}
	return asked.call(h, w, r, id)
}

// refuseQuery refuses parameters of an endpoint that only reads and takes none: one that
// is there asks for something that the answer would not be. The description may be fetched
// with what keeps caches away.
func (e endpoint) refuseQuery(raw string) *problem {
	if raw == "" || e.method != http.MethodGet || e.who == anyone || e.path == planPath {
		return nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return invalid("query", "malformed", "none: this path takes no parameters")
	}
	if len(query) == 0 {
		return nil
	}
	return unknownParameter(slices.Min(slices.Collect(maps.Keys(query))), "none: this path takes no parameters")
}

// unknownParameter refuses a parameter of the query.
func unknownParameter(name, want string) *problem {
	p := invalid(name, "unknown", want)
	p.Detail = fmt.Sprintf("there is no parameter %.40q: want %s", name, want)
	return p
}

func (h *Handler) getOpenAPI(w http.ResponseWriter, _ *http.Request, _ string) *problem {
	writeRaw(w, http.StatusOK, openAPI)
	return nil
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
