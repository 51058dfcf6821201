// The client's requests: sent, answered, and which failures pass.

package httpqueue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// wire sends requests to one address.
type wire struct {
	base    *url.URL
	token   string
	maxWait time.Duration
	margin  time.Duration // of Wait
	client  *http.Client
	own     *http.Transport // nil if the caller has brought a client
}

func (w wire) close() {
	if w.own != nil {
		w.own.CloseIdleConnections()
	}
}

// maxAnswer bounds what is read of an answer: a status of 4096 buckets with ten
// places each has some megabytes.
const maxAnswer = 32 << 20

// try is send for a request that is sent again if it has no answer within a time.
// Then its connection is silent though it stands: the way is gone, and with it that
// of the connections that are idle. A new one may have another way.
func (w wire) try(ctx context.Context, within time.Duration, method, path string, body, out any) error {
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := w.send(bounded, method, path, body, out)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil {
		w.client.CloseIdleConnections()
	}
	return err
}

// send sends a request with an optional JSON body, and reads a JSON answer into
// out unless that is nil. An error is an answerError, or one of the connection.
func (w wire) send(ctx context.Context, method, path string, body, out any) error {
	var reader io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		reader = bytes.NewReader(text)
	}
	target := *w.base
	target.Path += path
	req, err := http.NewRequestWithContext(ctx, method, target.String(), reader)
	if err != nil {
		return bare(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := w.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case err != nil:
		return connectionError{bare(err)}
	case resp.StatusCode >= 300:
		return newAnswerError(resp, text)
	case out == nil && resp.StatusCode == http.StatusNoContent:
		return nil
	case out == nil || json.Unmarshal(text, out) != nil:
		return newForeignError(resp)
	}
	return nil
}

// foreignError is a success that did not come from the server: it says what it is,
// so that the reader learns what stands in between.
type foreignError struct{ what string }

func newForeignError(resp *http.Response) *foreignError {
	what := resp.Status
	for _, name := range []string{"Content-Type", "Server", "Via"} {
		if v := resp.Header.Get(name); v != "" {
			what += fmt.Sprintf(", %s %.60q", name, v)
		}
	}
	return &foreignError{what}
}

var errForeign = &foreignError{"JSON that is no answer to this"}

func (e *foreignError) Error() string {
	return "httpqueue: the answer is not that of a gatewayqueue's /v1, but of something else at this address or before it (a gateway-queue needs NewLegacyClient): " + e.what
}

// isForeign says that something else has answered in the server's place.
func isForeign(err error) bool {
	var said *answerError
	if errors.As(err, &said) {
		return !said.ours
	}
	return errors.As(err, new(*foreignError))
}

func (w wire) do(req *http.Request) (*http.Response, error) {
	if w.token != "" {
		req.Header.Set("Authorization", "Bearer "+w.token)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		return nil, connectionError{bare(err)}
	}
	return resp, nil
}

// bare strips the address off an error: it may hold a password.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// connectionError says that there was no answer. It passes.
type connectionError struct{ error }

func (e connectionError) Error() string { return "httpqueue: no answer: " + e.error.Error() }
func (e connectionError) Unwrap() error { return e.error }

// answerError is an answer that is no success.
type answerError struct {
	problem    problem
	ours       bool   // the problem is a server's of this package
	by         string // who says that it has answered, if it is not ours
	retryAfter time.Duration
}

func newAnswerError(resp *http.Response, text []byte) *answerError {
	e := &answerError{}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		e.ours = json.Unmarshal(text, &e.problem) == nil && strings.HasPrefix(e.problem.Type, problemPrefix)
	}
	e.problem.Status = resp.StatusCode
	if e.by = resp.Header.Get("Server"); e.by == "" {
		e.by = resp.Header.Get("Via")
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		e.retryAfter = time.Duration(min(s, 3600)) * time.Second
	}
	return e
}

func (e *answerError) Error() string {
	text := "httpqueue: the server answers " + strconv.Itoa(e.problem.Status) + " " + http.StatusText(e.problem.Status)
	if e.ours && e.problem.Detail != "" {
		text += ": " + e.problem.Detail
	}
	if !e.ours {
		text = fmt.Sprintf("httpqueue: not the server but something at its address or before it answers %d %s", e.problem.Status, http.StatusText(e.problem.Status))
		if e.by != "" {
			text += fmt.Sprintf(" (it calls itself %.60q)", e.by)
		}
	}
	return text
}

// is says whether the server has answered with the problem of that name.
func (e *answerError) is(name string) bool { return e.ours && e.problem.Type == problemPrefix+name }

// Unwrap makes it the error that the queue behind the server has returned.
func (e *answerError) Unwrap() error {
	p := e.problem
	wait := time.Duration(p.WaitMS) * time.Millisecond
	switch {
	case e.is("invalid"):
		return &gatewayqueue.InvalidError{Field: p.Field, Value: p.Value, Want: p.Want}
	case e.is("too-late") && wait > 0:
		return &gatewayqueue.DeadlineError{Wait: wait, Reason: p.Reason}
	case e.is("too-late"):
		return context.DeadlineExceeded
	case e.is("exhausted"):
		return &gatewayqueue.ExhaustedError{ResetAfter: wait}
	case e.is("gone") && p.Reason == reasonSettled:
		return gatewayqueue.ErrPermitSettled
	case e.is("gone"):
		return gatewayqueue.ErrPermitExpired
	}
	return nil
}

// again says that a failure passes: no server answers, or one that is about to
// stop, or a proxy that has none.
func again(err error) bool {
	var answer *answerError
	if !errors.As(err, &answer) {
		return errors.As(err, new(connectionError))
	}
	switch answer.problem.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	case http.StatusTooManyRequests:
		return !answer.ours
	}
	if answer.problem.Status >= 520 { // Cloudflare's, which has no answer of the server either
		return !answer.ours
	}
	return answer.is("left") // an earlier request of ours that the server has taken for the later
}

// retryIn is how long to wait before the nth try (from 1) after a failure that
// passes: growing to 5 s, as long as the server says, and never all together.
func retryIn(err error, n int) time.Duration {
	d := min(100*time.Millisecond<<min(n-1, 10), 5*time.Second)
	d = d/2 + rand.N(d/2)
	var answer *answerError
	if errors.As(err, &answer) && answer.retryAfter > d {
		d = min(answer.retryAfter, time.Minute) + rand.N(d)
	}
	return d
}

// isContext says that an error is only the end of a context.
func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
