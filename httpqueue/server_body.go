// Bodies under /v1: of requests, read, and of answers, written. server_decode.go has the decoder.

package httpqueue

import (
	"bytes"
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
