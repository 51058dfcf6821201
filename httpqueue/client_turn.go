// How a client waits for its turn: one poll after the other, with the ticket
// that keeps its place, until one of them brings the grant.

package httpqueue

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
)

// permits is the path of polls. A Wait takes a permit too, and reports it: only
// so is known how old its grant is.
const permits = "/v1/permits"

const (
	// leastPoll is how long a poll takes at least, unless it brings something.
	leastPoll = 50 * time.Millisecond

	// pollGrace is how long after its time a poll's answer may come. Without
	// one the connection is taken for dead, and the next poll has what this one
	// has missed. A server that waits longer for its store is asked again, too.
	pollGrace = 5 * time.Second

	// leaveTimeout bounds how long a caller that leaves waits for the server
	// to say whether it had been granted.
	leaveTimeout = time.Second

	// confirmTimeout bounds how long a client tries to find out how a permit
	// stands. By then it has ended.
	confirmTimeout = 5 * time.Second

	// shortestPoll is how short polls become where something between here and
	// the server cuts longer ones.
	shortestPoll = 100 * time.Millisecond

	// foreignFor bounds for how long answers are asked again that are none of
	// the server's, by a caller that the server has answered before.
	foreignFor = time.Minute
)

// turn is one caller's wait.
type turn struct {
	client  *Client
	request pollRequest
	maxWait time.Duration
	cut     time.Duration // longer polls were cut; 0 for none
	known   bool          // the server has answered
	foreign time.Time     // since when somebody else answers; zero if nobody does
}

// answer is a poll's, of whatever kind.
type answer struct {
	permitAnswer
	Waiting    bool   `json:"waiting"`
	KeepsPlace bool   `json:"keeps_place"`
	Ticket     string `json:"ticket"`
}

// turn begins a caller's wait.
func (c *Client) turn(ctx context.Context, shardID int) (*turn, error) {
	if err := gatewayqueue.CheckShard(shardID); err != nil {
		return nil, err
	}
	if err := ctxerr.Ended(ctx); err != nil {
		return nil, err
	}
	return &turn{client: c, maxWait: c.wire.maxWait, request: pollRequest{Shard: &shardID, Key: randomID()}}, nil
}

// wait waits for the permit.
func (t *turn) wait(ctx context.Context) (*clientPermit, error) {
	c := t.client
	var last error
	for failures := 0; ; {
		if c.ctx.Err() != nil {
			return nil, gatewayqueue.ErrClosed
		}
		sent := elapsed.Now()
		answer, err := t.poll(ctx)
		switch {
		case err == nil && !answer.Waiting: // granted
			permit, err := t.accept(ctx, answer, sent)
			if permit != nil || err != nil {
				return permit, err
			}
			continue // too late for it: once more, in the same place
		case err == nil:
			last, failures = nil, 0
			t.hear(answer)
			if sent.Since() < leastPoll && !t.request.Early { // a server that does not wait
				t.rest(ctx, leastPoll)
			}
		case ctx.Err() == nil && c.ctx.Err() == nil && errors.Is(err, gatewayqueue.ErrPermitSettled):
			last = err
			failures++
			t.startOver()
			t.rest(ctx, retryIn(err, failures))
		case ctx.Err() == nil && c.ctx.Err() == nil && (again(err) || t.passes(err)):
			last = err
			failures++
			var said *answerError
			if errors.As(err, &said) && said.problem.Ticket != "" {
				t.request.Ticket = said.problem.Ticket
			}
			if t.learn(err, sent.Since()) {
				failures = 0 // it was in line for long, and should be soon again
				t.rest(ctx, leastPoll)
				continue
			}
			t.rest(ctx, retryIn(err, failures))
		case ctx.Err() == nil && c.ctx.Err() == nil:
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctxerr.Ended(ctx, last)
		}
	}
}

// startOver makes it another wait, of which nothing was granted yet: what the one
// before was granted may be used up, and its ticket is worth nothing.
func (t *turn) startOver() { t.request.Key, t.request.Ticket = randomID(), "" }

// passes says whether an answer is somebody else's that stands in the server's
// place for now: a balancer's page, a proxy's error. The server has been heard
// of, so the address is right, and the place in line is kept.
func (t *turn) passes(err error) bool {
	if !t.known || !isForeign(err) {
		t.foreign = time.Time{}
		return false
	}
	if t.foreign.IsZero() {
		t.foreign = time.Now()
	}
	return time.Since(t.foreign) < foreignFor
}

// learn hears that a poll was cut after a time, by something that has less
// patience than was asked for. It returns true if shorter polls will help.
func (t *turn) learn(err error, after time.Duration) bool {
	var said *answerError
	if errors.As(err, &said) && said.ours || after < shortestPoll || !t.known {
		return false
	}
	shorter := max(shortestPoll, after*4/5)
	if t.cut > 0 && t.cut <= shorter {
		return false
	}
	t.cut = shorter
	return true
}

// hear takes in an answer that was no grant.
func (t *turn) hear(a answer) {
	t.known, t.foreign = true, time.Time{}
	if a.Ticket != "" {
		t.request.Ticket = a.Ticket
	}
	if !a.KeepsPlace {
		t.maxWait = maxPoll // leave the line as seldom as possible
	}
}

// rest waits for a time, or until the caller or the client ends.
func (t *turn) rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	case <-t.client.ctx.Done():
	}
}

// outcome is what became of a poll.
type outcome struct {
	answer answer
	err    error
}

// poll sends one poll and waits for its answer. If the caller ends it first,
// the server is told, and its answer still counts: it may be a grant.
func (t *turn) poll(ctx context.Context) (answer, error) {
	wait := t.maxWait
	if t.cut > 0 {
		wait = min(wait, t.cut)
	}
	if timeout := t.client.wire.client.Timeout; timeout > 0 {
		wait = min(wait, timeout*4/5)
	}
	ms := wait.Milliseconds()
	t.request.MaxWait = &ms
	t.request.Deadline = nil
	if deadline, ok := ctx.Deadline(); ok {
		left := max(1, (time.Until(deadline) + time.Millisecond - 1).Milliseconds())
		t.request.Deadline = &left
	}
	t.request.Early = t.request.Ticket == ""

	poll, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan outcome, 1)
	request := t.request
	go func() {
		defer cancel()
		var o outcome
		o.err = t.client.wire.try(poll, wait+pollGrace, http.MethodPost, permits, request, &o.answer)
		if a := o.answer; o.err == nil && (a.Shard == nil || *a.Shard != *request.Shard || !a.Waiting && (a.ID == "" || a.GoodFor < 0)) {
			o.err = errForeign
		}
		done <- o
	}()
	var o outcome
	select {
	case o = <-done:
	case <-ctx.Done():
		o = t.leave(ctx, done, cancel)
	case <-t.client.ctx.Done():
		o = t.leave(ctx, done, cancel)
	}
	return o.answer, o.err
}

// leave tells the server that the caller leaves the line, and waits for the
// answer to the poll. If none comes in time, the connection is closed, which
// the server takes for the same.
func (t *turn) leave(ctx context.Context, done <-chan outcome, cancel context.CancelFunc) outcome {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer stop()
	told := make(chan struct{})
	go func() {
		defer close(told)
		for n := 1; ; n++ { // the poll may be on its way, or another server may answer
			err := t.client.wire.send(ctx, http.MethodDelete, "/v1/waits/"+t.request.Key, nil, nil)
			var answer *answerError
			if err == nil || !errors.As(err, &answer) || !answer.is("not-found") || ctxerr.Sleep(ctx, min(time.Duration(n)*5*time.Millisecond, 100*time.Millisecond)) != nil {
				return
			}
		}
	}()
	defer func() { stop(); <-told }()
	select {
	case o := <-done:
		return o
	case <-ctx.Done():
		cancel()
		return <-done
	}
}

// accept makes a permit of a grant, unless the grant is too old for that. Its
// age is not known, only that it is younger than its request: if that is old,
// the permit is renewed first.
func (t *turn) accept(ctx context.Context, answer answer, sent elapsed.Moment) (*clientPermit, error) {
	c := t.client
	good := time.Duration(answer.GoodFor) * time.Millisecond
	p := &clientPermit{client: c, id: answer.ID, granted: time.Now(), sent: sent, deadline: sent.Time().Add(good), ended: make(chan struct{})}
	if ctx.Err() != nil || c.ctx.Err() != nil { // it left, but had been granted
		c.run(func() { _ = p.Abandon(context.WithoutCancel(ctx)) }) // else it lapses
		if c.ctx.Err() != nil {
			return nil, gatewayqueue.ErrClosed
		}
		return nil, ctxerr.Ended(ctx)
	}
	if sent.Since() >= good/2 && !p.confirm(ctx) {
		return nil, nil // the same key has paid, if it has lapsed; if it has not, it is had again
	}
	c.run(func() { p.keep(ctx) })
	return p, nil
}
