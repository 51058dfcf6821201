// Errors on the wire: RFC 9457 problem bodies, and which error is which.

package httpqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// How a permit has ended.
const (
	reasonSettled = "settled"
	reasonLapsed  = "lapsed"
)

const problemPrefix = "urn:gatewayqueue:problem:"

// problem is the body of every answer from 400 on.
type problem struct {
	Type   string `json:"type"` // problemPrefix and a name of docs/http.md
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`

	// Of invalid: what was refused, and what is allowed.
	Field string `json:"field,omitempty"`
	Value string `json:"value,omitempty"`
	Want  string `json:"want,omitempty"`

	// Of too-late and exhausted.
	WaitMS int64 `json:"wait_ms,omitempty"`

	// Of too-late: what the wait is for. Of gone: how the permit has ended.
	Reason string `json:"reason,omitempty"`

	// Of shutting-down: keeps the place in line at another server.
	Ticket string `json:"ticket,omitempty"`

	retryAfter time.Duration // -1 for none
	close      bool
	allow      string
	held       string // the name of a permit that the handler has held, and that has ended
}

func newProblem(status int, name, detail string) *problem {
	return &problem{
		Type: problemPrefix + name, Title: http.StatusText(status), Status: status, Detail: detail, retryAfter: -1,
	}
}

func (p *problem) write(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "application/problem+json")
	header.Set("Cache-Control", "no-store")
	if p.retryAfter >= 0 {
		header.Set("Retry-After", seconds(p.retryAfter))
	}
	if p.close {
		header.Set("Connection", "close")
	}
	if p.allow != "" {
		header.Set("Allow", p.allow)
	}
	if p.Status == http.StatusUnauthorized {
		header.Set("WWW-Authenticate", `Bearer realm="gatewayqueue"`)
	}
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client has gone
}

// seconds rounds up: to come too early would be in vain.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64(math.Ceil(d.Seconds())), 10)
}

func invalid(field string, value any, want string) *problem {
	p := newProblem(http.StatusBadRequest, "invalid", fmt.Sprintf("%s is %v: want %s", field, value, want))
	p.Field, p.Value, p.Want = field, fmt.Sprint(value), want
	return p
}

// away says that the store was not reached. Its queue logs that.
func away(err error) bool {
	return errors.As(err, new(net.Error)) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// problemOf is the problem that an error of the queue is to a client.
func (h *Handler) problemOf(err error) *problem {
	var (
		bad       *gatewayqueue.InvalidError
		late      *gatewayqueue.DeadlineError
		exhausted *gatewayqueue.ExhaustedError
	)
	switch {
	case errors.As(err, &bad):
		return invalid(bad.Field, bad.Value, bad.Want)
	case errors.Is(err, errOverloaded):
		p := newProblem(http.StatusServiceUnavailable, "overloaded", "too many wait at this server: try another, or again later")
		p.retryAfter = time.Second
		return p
	case errors.Is(err, errShutdown), errors.Is(err, gatewayqueue.ErrClosed):
		p := newProblem(http.StatusServiceUnavailable, "shutting-down", "this server shuts down: ask again")
		p.retryAfter, p.close = 0, true
		return p
	case errors.Is(err, errLeft):
		return newProblem(http.StatusConflict, "left", "the client has left the line, or asks in another request")
	case errors.As(err, &late):
		p := newProblem(http.StatusTooManyRequests, "too-late", late.Error())
		p.WaitMS, p.Reason, p.retryAfter = late.Wait.Milliseconds(), late.Reason, late.Wait
		return p
	case errors.As(err, &exhausted):
		p := newProblem(http.StatusTooManyRequests, "exhausted", exhausted.Error())
		p.WaitMS, p.retryAfter = exhausted.ResetAfter.Milliseconds(), exhausted.ResetAfter
		return p
	case errors.Is(err, gatewayqueue.ErrPermitSettled):
		p := newProblem(http.StatusGone, "gone", "the permit was settled: identified, or given back")
		p.Reason = reasonSettled
		return p
	case errors.Is(err, gatewayqueue.ErrPermitExpired):
		p := newProblem(http.StatusGone, "gone", "the permit has lapsed: it was not renewed in time, or for as long as a permit may be held")
		p.Reason = reasonLapsed
		return p
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), away(err):
		p := newProblem(http.StatusServiceUnavailable, "unavailable", "the queue's store does not answer: try again")
		p.retryAfter = time.Second
		return p
	}
	// What is wrong with the store is the operator's business; it may name hosts.
	h.options.log.Error("the queue failed", "error", err)
	p := newProblem(http.StatusInternalServerError, "queue", "the queue failed: the server's log says how")
	return p
}
