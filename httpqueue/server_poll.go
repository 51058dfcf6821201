// Long polls: a request takes a place in line, and is answered with a grant or,
// when its time is over, with the ticket that keeps the place.

package httpqueue

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Bounds of max_wait_ms.
const (
	defaultPoll = 30 * time.Second
	maxPoll     = 10 * time.Minute
)

// pollRequest is the body of POST /v1/permits and /v1/identifies.
type pollRequest struct {
	Shard    *int   `json:"shard"`
	MaxWait  *int64 `json:"max_wait_ms,omitempty"` // for this request
	Deadline *int64 `json:"deadline_ms,omitempty"` // for the caller: refuse what is known to take longer
	Ticket   string `json:"ticket,omitempty" want:"that of the answer before; left out at first"`
	Key      string `json:"key,omitempty" want:"1 to 64 letters, digits, dashes or underscores"` // names the wait
	Early    bool   `json:"early_ticket,omitempty"`                                              // answer as soon as there is a ticket
}

// pollAnswer is what 202 says.
type pollAnswer struct {
	Shard      int    `json:"shard"`
	Waiting    bool   `json:"waiting"` // true
	KeepsPlace bool   `json:"keeps_place"`
	Ticket     string `json:"ticket,omitempty"` // empty also while the store is away
}

// poll is one request's stay in line.
type poll struct {
	shard             int
	permit            bool          // or a Wait
	maxWait, deadline time.Duration // deadline is 0 for none
	since             time.Time     // zero for the end of the line, or not known
	wait              string        // which of all this is; known by its key, or its ticket
	before            bool          // it was granted before, as far as is known
	ticketed          bool          // its client has a ticket
	issued            time.Time     // when that was written
	key               string
	early             bool
	stage             atomic.Int32 // below

	had   gatewayqueue.Permit // the permit that the wait has had, and that holds
	hadID string

	granted gatewayqueue.Permit // if permit, and err is nil
	err     error
	ended   error // why the server or the client has ended the wait
}

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// readPoll reads the request in a goroutine of its own, which ends with it: the
// stack that it takes to read JSON would else stay with each request that waits,
// 4 KiB in all that time.
func (h *Handler) readPoll(w http.ResponseWriter, r *http.Request, permit bool) (p *poll, bad *problem) {
	done := make(chan any)
	go func() {
		defer func() { done <- recover() }()
		if p, bad = h.readPollHere(w, r); bad == nil {
			p.permit = permit
			p.had, p.hadID, bad = h.recognise(r.Context(), p)
			if bad != nil && bad.Status == http.StatusServiceUnavailable {
				bad.Ticket = h.ticket(p)
			}
		}
	}()
	if panicked := <-done; panicked != nil {
		panic(panicked)
	}
	return p, bad
}

func (h *Handler) readPollHere(w http.ResponseWriter, r *http.Request) (*poll, *problem) {
	var body pollRequest
	p, empty := readBody(w, r, &body, true)
	if p == nil && empty {
		p = queryPoll(r.URL.Query(), &body)
	}
	if p != nil {
		return nil, p
	}
	wait := defaultPoll.Milliseconds()
	if body.MaxWait != nil {
		wait = *body.MaxWait
	}
	switch {
	case body.Shard == nil:
		return nil, invalid("shard", "missing", "0 or more")
	case *body.Shard < 0 || *body.Shard > gatewayqueue.MaxShard:
		return nil, invalid("shard", *body.Shard, fmt.Sprintf("0 to %d", gatewayqueue.MaxShard))
	case wait < 0 || wait > maxPoll.Milliseconds():
		return nil, invalid("max_wait_ms", wait, fmt.Sprintf("0 to %d", maxPoll.Milliseconds()))
	case body.Deadline != nil && (*body.Deadline <= 0 || *body.Deadline > 1<<40):
		return nil, invalid("deadline_ms", *body.Deadline, fmt.Sprintf("1 to %d", int64(1<<40)))
	case body.Key != "" && !keyPattern.MatchString(body.Key):
		return nil, invalid("key", strconv.Quote(body.Key), "1 to 64 letters, digits, dashes or underscores")
	}
	poll := &poll{shard: *body.Shard, maxWait: time.Duration(wait) * time.Millisecond, key: body.Key, early: body.Early}
	if body.Deadline != nil {
		poll.deadline = time.Duration(*body.Deadline) * time.Millisecond
	}
	if body.Ticket == "" {
		return poll, nil
	}
	at, known, err := h.seals.placeOf(r.Context(), poll.shard, body.Ticket)
	switch {
	case errors.Is(err, gatewayqueue.ErrInvalid):
		return nil, h.problemOf(err)
	case err != nil:
		bad := h.problemOf(err)
		bad.Ticket = body.Ticket
		return nil, bad
	case !known:
		h.options.log.Warn("a ticket is not of this queue's key: it keeps no place", "shard", poll.shard, "remote", r.RemoteAddr)
	case time.Since(at.issued) < ticketGood: // else its client has been away for too long
		poll.since, poll.wait, poll.ticketed = at.since, at.wait, true
		if time.Since(at.issued) < ticketGood/2 {
			poll.issued = at.issued
		}
	}
	return poll, nil
}

// queryPoll reads shard and max_wait_ms from the query, for clients that would
// rather send no body.
func queryPoll(query url.Values, body *pollRequest) *problem {
	if all, ok := query["shard"]; ok {
		shard, err := strconv.Atoi(all[0])
		if err != nil || len(all) > 1 {
			return invalid("shard", fmt.Sprintf("%q", all), "one whole number")
		}
		body.Shard = &shard
	}
	if all, ok := query["max_wait_ms"]; ok {
		wait, err := strconv.ParseInt(all[0], 10, 64)
		if err != nil || len(all) > 1 {
			return invalid("max_wait_ms", fmt.Sprintf("%q", all), "one whole number")
		}
		body.MaxWait = &wait
	}
	return nil
}

// stand waits in line. Ten thousand goroutines stand here, so its frame, and
// those of its callers, are small: together they fit a stack of 4 KiB.
func (h *Handler) stand(r *http.Request, p *poll) {
	ctx, waiter, err := h.enter(r.Context(), p.deadline, p.shard, p.key)
	if err != nil {
		p.err, p.ended = err, err
		return
	}
	defer waiter.done()
	// Not as a deadline: that would have the queue refuse what takes longer.
	timer := time.AfterFunc(p.maxWait, func() { p.overdue(waiter) })
	p.granted, p.err = h.take(ctx, p)
	timer.Stop()
	p.ended = context.Cause(ctx)
}

// take is the queue's Wait or Acquire, at the place that the caller has had.
func (h *Handler) take(ctx context.Context, p *poll) (gatewayqueue.Permit, error) {
	switch {
	case h.visited != nil && p.permit:
		return h.visited.AcquireAs(ctx, p.shard, p.visit())
	case h.visited != nil:
		return nil, h.visited.WaitAs(ctx, p.shard, p.visit())
	case p.permit:
		return h.queue.Acquire(ctx, p.shard)
	}
	return nil, h.queue.Wait(ctx, p.shard)
}

// visit is what the queue is told of the poll. Without a key its client cannot
// ask for the same grant again.
func (p *poll) visit() gatewayqueue.Visit {
	v := gatewayqueue.Visit{Since: p.since, Placed: p.placed, Granted: p.before}
	if p.key != "" {
		v.Wait = p.wait
	}
	return v
}

// placed is told the place in line, and says whether to stay.
func (p *poll) placed(since time.Time) bool {
	p.since = since
	p.stage.CompareAndSwap(arriving, standing)
	return !p.leaves()
}

// The stages of a poll. A client that asks for a moment gets a ticket, too: the time
// to wait ends no poll before it stands in line, unless the store does not answer.
const (
	arriving int32 = iota
	standing
	late // its time was over before it stood in line
)

const arriveWithin = time.Second

// leaves says that it goes as soon as it has a ticket.
func (p *poll) leaves() bool { return p.early || p.stage.Load() == late }

// overdue ends the poll, since its time is over.
func (p *poll) overdue(w *waiter) {
	if w.handler.shared == nil || !p.stage.CompareAndSwap(arriving, late) {
		w.over()
		return
	}
	time.AfterFunc(arriveWithin, w.over)
}

// outcome says what became of the wait: over if its time is, or a problem, or
// neither if it was granted.
func (h *Handler) outcome(r *http.Request, p *poll) (over bool, _ *problem) {
	gone := r.Context().Err() != nil
	if p.err == nil && gone && p.granted != nil { // nobody is there to have it
		h.giveBack(p.granted)
	}
	var late *gatewayqueue.DeadlineError
	switch {
	case gone, errors.Is(p.ended, errAhead):
		drop()
	case p.err == nil:
		return false, nil
	case errors.Is(p.ended, errPollOver), p.ended == nil && p.leaves() && !p.since.IsZero() && !known(p.err):
		return true, nil
	case p.ended != nil && errors.Is(p.ended, context.DeadlineExceeded) && !errors.As(p.err, &late):
		passed := newProblem(http.StatusTooManyRequests, "too-late", "the deadline has passed")
		passed.retryAfter = 0
		return false, passed
	case p.ended != nil && !errors.Is(p.ended, context.DeadlineExceeded):
		p.err = p.ended
	}
	bad := h.problemOf(p.err)
	if bad.Status == http.StatusServiceUnavailable {
		bad.Ticket = h.ticket(p) // after which to ask again
	}
	return false, bad
}

// known says that a queue has refused a caller, rather than lost it.
func known(err error) bool {
	return errors.As(err, new(*gatewayqueue.DeadlineError)) || errors.Is(err, gatewayqueue.ErrExhausted) ||
		errors.Is(err, gatewayqueue.ErrClosed) || errors.Is(err, gatewayqueue.ErrInvalid)
}

func (h *Handler) waitOn(w http.ResponseWriter, p *poll) {
	w.Header().Set("Retry-After", "0")
	writeJSON(w, http.StatusAccepted, pollAnswer{
		Shard: p.shard, Waiting: true, KeepsPlace: h.shared != nil, Ticket: h.ticket(p),
	})
}

// ticket is the one that keeps the poll's place, or empty while it has none.
func (h *Handler) ticket(p *poll) string {
	if p.since.IsZero() || h.shared == nil {
		return ""
	}
	seal, err := h.seals.seal(context.Background())
	if err != nil {
		return ""
	}
	issued := p.issued
	if issued.IsZero() {
		issued = time.Now()
	}
	return seal.ticket(place{p.shard, p.since, p.wait, issued})
}
