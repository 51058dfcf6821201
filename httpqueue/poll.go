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
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Bounds of max_wait_ms.
const (
	defaultPoll = 30 * time.Second
	maxPoll     = 10 * time.Minute
)

// comesAndGoes is a queue in which a caller that was away has its place again.
// redisqueue's WaitSince says how.
type comesAndGoes interface {
	WaitSince(ctx context.Context, shardID int, since time.Time, placed func(time.Time) bool) error
	AcquireSince(ctx context.Context, shardID int, since time.Time, placed func(time.Time) bool) (gatewayqueue.Permit, error)
}

// pollRequest is the body of POST /v1/permits and /v1/identifies.
type pollRequest struct {
	Shard    *int   `json:"shard"`
	MaxWait  *int64 `json:"max_wait_ms,omitempty"`  // for this request
	Deadline *int64 `json:"deadline_ms,omitempty"`  // for the caller: refuse what is known to take longer
	Ticket   string `json:"ticket,omitempty"`       // of the answer before
	Key      string `json:"key,omitempty"`          // names the wait for DELETE /v1/waits/{key}
	Early    bool   `json:"early_ticket,omitempty"` // answer as soon as there is a ticket
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
	maxWait, deadline time.Duration // deadline is 0 for none
	since             time.Time     // zero for the end of the line, or not known
	key               string
	early             bool
}

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func (h *Handler) readPoll(w http.ResponseWriter, r *http.Request) (poll, *problem) {
	var body pollRequest
	p, empty := readBody(w, r, &body, true)
	if p == nil && empty {
		p = queryPoll(r.URL.Query(), &body)
	}
	if p != nil {
		return poll{}, p
	}
	wait := defaultPoll.Milliseconds()
	if body.MaxWait != nil {
		wait = *body.MaxWait
	}
	switch {
	case body.Shard == nil:
		return poll{}, invalid("shard", "missing", "0 or more")
	case *body.Shard < 0 || *body.Shard > maxShard:
		return poll{}, invalid("shard", *body.Shard, fmt.Sprintf("0 to %d", maxShard))
	case wait < 0 || wait > maxPoll.Milliseconds():
		return poll{}, invalid("max_wait_ms", wait, fmt.Sprintf("0 to %d", maxPoll.Milliseconds()))
	case body.Deadline != nil && (*body.Deadline <= 0 || *body.Deadline > 1<<40):
		return poll{}, invalid("deadline_ms", *body.Deadline, fmt.Sprintf("1 to %d", int64(1<<40)))
	case body.Key != "" && !keyPattern.MatchString(body.Key):
		return poll{}, invalid("key", strconv.Quote(body.Key), "1 to 64 letters, digits, dashes or underscores")
	}
	poll := poll{shard: *body.Shard, maxWait: time.Duration(wait) * time.Millisecond, key: body.Key, early: body.Early}
	if body.Deadline != nil {
		poll.deadline = time.Duration(*body.Deadline) * time.Millisecond
	}
	var err error
	if poll.since, err = h.seal.since(poll.shard, body.Ticket); err != nil {
		return poll, h.problemOf(err)
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

// ask takes the place in line. It returns a permit if that is wanted and
// granted, and nil and no problem if the time is over, or if a Wait is granted.
func (h *Handler) ask(r *http.Request, p *poll, permit bool) (granted gatewayqueue.Permit, over bool, _ *problem) {
	ctx := r.Context()
	if p.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.deadline)
		defer cancel()
	}
	ctx, waiter, err := h.enter(ctx, p.key)
	if err != nil {
		return nil, false, h.problemOf(err).keeping(h.seal.ticket(p.shard, p.since))
	}
	defer waiter.done()
	// Not as a deadline: that would have the queue refuse what takes longer.
	timer := time.AfterFunc(p.maxWait, func() { waiter.cancel(errPollOver) })
	defer timer.Stop()

	placed := func(since time.Time) bool {
		p.since = since
		return !p.early
	}
	granted, err = h.take(ctx, p, permit, placed)
	if err == nil {
		if r.Context().Err() != nil { // nobody is there to have it
			if granted != nil {
				h.giveBack(granted)
			}
			drop()
		}
		return granted, false, nil
	}
	ended := context.Cause(ctx)
	switch {
	case r.Context().Err() != nil:
		drop()
	case errors.Is(ended, errLeft), errors.Is(ended, errShutdown):
		return nil, false, h.problemOf(ended).keeping(h.seal.ticket(p.shard, p.since))
	case errors.Is(ended, errPollOver), ended == nil && p.early && !p.since.IsZero() && !known(err):
		return nil, true, nil
	case errors.Is(ended, context.DeadlineExceeded) && !errors.As(err, new(*gatewayqueue.DeadlineError)):
		late := newProblem(http.StatusTooManyRequests, "too-late", "the deadline has passed")
		late.retryAfter = 0
		return nil, false, late
	}
	return nil, false, h.problemOf(err).keeping(h.seal.ticket(p.shard, p.since))
}

// take is the queue's Wait or Acquire, at the place that the caller has had.
func (h *Handler) take(ctx context.Context, p *poll, permit bool, placed func(time.Time) bool) (gatewayqueue.Permit, error) {
	queue, keeps := h.queue.(comesAndGoes)
	switch {
	case keeps && permit:
		return queue.AcquireSince(ctx, p.shard, p.since, placed)
	case keeps:
		return nil, queue.WaitSince(ctx, p.shard, p.since, placed)
	case permit:
		return h.queue.Acquire(ctx, p.shard)
	}
	return nil, h.queue.Wait(ctx, p.shard)
}

// known says that a queue has refused a caller, rather than lost it.
func known(err error) bool {
	return errors.As(err, new(*gatewayqueue.DeadlineError)) || errors.Is(err, gatewayqueue.ErrExhausted) ||
		errors.Is(err, gatewayqueue.ErrClosed) || errors.Is(err, gatewayqueue.ErrInvalid)
}

// keeping adds the ticket to a problem after which to ask again.
func (p *problem) keeping(ticket string) *problem {
	if p.Status == http.StatusServiceUnavailable {
		p.Ticket = ticket
	}
	return p
}

func (h *Handler) waitOn(w http.ResponseWriter, p poll) {
	w.Header().Set("Retry-After", "0")
	_, keeps := h.queue.(comesAndGoes)
	writeJSON(w, http.StatusAccepted, pollAnswer{
		Shard: p.shard, Waiting: true, KeepsPlace: keeps, Ticket: h.seal.ticket(p.shard, p.since),
	})
}

// postIdentify is POST /v1/identifies: the window begins with the grant.
func (h *Handler) postIdentify(w http.ResponseWriter, r *http.Request, _ string) *problem {
	p, bad := h.readPoll(w, r)
	if bad != nil {
		return bad
	}
	_, over, bad := h.ask(r, &p, false)
	switch {
	case bad != nil:
		return bad
	case over:
		h.waitOn(w, p)
	default:
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
