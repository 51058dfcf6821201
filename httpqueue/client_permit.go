// A client's permit: renewed while the client lives, and reported until the
// server knows.

package httpqueue

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
)

const (
	// reportTimeout bounds for how long a report is repeated: by then the
	// permit's lease has ended, and with it the window after it.
	reportTimeout = 15 * time.Second

	// renewTimeout bounds one renewal.
	renewTimeout = 5 * time.Second

	// leastPatience is after how long without an answer a renewal is sent again, at
	// the soonest, and reportPatience the same of a report.
	leastPatience  = 500 * time.Millisecond
	reportPatience = time.Second

	leastRenewal = 100 * time.Millisecond // between two

	// usedWithin is until when after its report a Wait's caller may send
	// IDENTIFY, and usedAnswer how much of that Wait itself may take.
	usedWithin = DefaultGrantMargin
	usedAnswer = usedWithin / 2

	// longestMargin, with usedWithin, is less than the most a report may ask for.
	longestMargin = 50 * time.Second
)

// clientPermit implements [gatewayqueue.Permit].
type clientPermit struct {
	client  *Client
	id      string
	granted time.Time
	ended   chan struct{} // closed when it was reported

	mu       sync.Mutex
	sent     elapsed.Moment // when the request was that deadline is of
	deadline time.Time
	settled  bool
}

func (p *clientPermit) Deadline() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deadline.Add(-p.sent.Jumped()) // what has passed that this clock does not know
}

func (p *clientPermit) path() string { return permits + "/" + p.id }

// renew sends one renewal, and once more where the first has no answer while the
// permit is good. The deadline counts from when the one was sent that is answered.
func (p *clientPermit) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	patience := max(time.Until(p.Deadline())/2, leastPatience)
	return p.client.twice(ctx, patience, func(ctx context.Context) error {
		sent := elapsed.Now()
		var answer permitAnswer
		err := p.client.wire.send(ctx, http.MethodPut, p.path(), nil, &answer)
		if err == nil && answer.ID != p.id {
			err = errForeign
		}
		if err == nil {
			p.mu.Lock()
			defer p.mu.Unlock()
			if !sent.Time().Before(p.sent.Time()) { // else the answer to a later one was quicker
				p.sent, p.deadline = sent, sent.Time().Add(time.Duration(answer.GoodFor)*time.Millisecond)
			}
		}
		return err
	})
}

// twice asks what may be asked twice, and does so over a new connection if there is
// no answer within a time, as in wire.try. The first goes on meanwhile: it may only be slow.
func (c *Client) twice(ctx context.Context, within time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the one that is not needed
	answers := make(chan error, 2)
	c.run(func() { answers <- ask(ctx) })
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case err := <-answers:
		return err
	case <-timer.C:
	}
	c.wire.client.CloseIdleConnections()
	c.run(func() { answers <- ask(ctx) })
	if err := <-answers; err == nil || !again(err) {
		return err
	}
	return <-answers
}

// use reports that IDENTIFY is about to leave. It returns false if that is too
// late: nothing may be sent then. told says that the server may think otherwise.
//
// The window begins usedWithin, and the margin of the client, after the server
// has heard of it, which it cannot before it was told. So an answer that takes
// long does not matter, nor one that is lost: a permit that nobody settles keeps
// its bucket closed for longer yet.
func (p *clientPermit) use(ctx context.Context) (used, told bool) {
	margin := p.client.wire.margin
	if time.Until(p.Deadline()) < 2*usedWithin+min(margin, time.Second) && !p.confirm(ctx) {
		p.settle(func() {}) // it lapses, or is had again by its key
		return false, false
	}
	said := elapsed.Now()
	answer := make(chan error, 1)
	p.settle(func() {
		answer <- p.tell(ctx, http.MethodPost, p.path()+"/identified", identifiedRequest{Within: (usedWithin + margin).Milliseconds()})
	})
	select {
	case err := <-answer:
		if errors.Is(err, gatewayqueue.ErrPermitExpired) {
			return false, errors.Is(err, gatewayqueue.ErrPermitSettled)
		}
	case <-time.After(usedAnswer):
	}
	return said.Since() <= usedWithin && time.Now().Before(p.Deadline()), true
}

// confirm renews a permit of unknown age, until it knows how it stands.
func (p *clientPermit) confirm(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	defer context.AfterFunc(p.client.ctx, cancel)()
	for n := 1; ; n++ {
		err := p.renew(ctx)
		switch {
		case err == nil:
			return time.Now().Before(p.Deadline())
		case !again(err) && !isForeign(err) || ctxerr.Sleep(ctx, retryIn(err, n)) != nil:
			return false
		}
	}
}

// keep renews the permit until it was reported, has ended, or the client is
// closed, with the values of ctx.
func (p *clientPermit) keep(ctx context.Context) {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), p.granted.Add(gatewayqueue.MaxPermitDuration))
	defer cancel()
	defer context.AfterFunc(p.client.ctx, cancel)()
	for failures := 0; ; {
		wait := max(time.Until(p.Deadline())/2, leastRenewal)
		select {
		case <-time.After(wait):
		case <-p.ended:
			return
		case <-ctx.Done():
			return
		}
		err := p.renew(ctx)
		switch {
		case err == nil:
			failures = 0
		case again(err), isForeign(err):
			failures++
			p.pause(ctx, min(retryIn(err, failures), time.Second))
		case ctx.Err() == nil:
			p.expire(err)
			return
		}
	}
}

func (p *clientPermit) pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-p.ended:
	case <-ctx.Done():
	}
}

// expire ends a permit that the server renews no more.
func (p *clientPermit) expire(err error) {
	var answer *answerError
	if !errors.As(err, &answer) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Before(p.deadline) {
		p.deadline = now
	}
}

// Identified implements [gatewayqueue.Permit].
func (p *clientPermit) Identified(ctx context.Context) error {
	return p.report(ctx, http.MethodPost, p.path()+"/identified")
}

// Abandon implements [gatewayqueue.Permit].
func (p *clientPermit) Abandon(ctx context.Context) error {
	return p.report(ctx, http.MethodDelete, p.path())
}

// report says what became of the permit, once.
func (p *clientPermit) report(ctx context.Context, method, path string) error {
	told := make(chan error, 1)
	if !p.settle(func() {
		err := p.tell(ctx, method, path, nil)
		if errors.Is(err, gatewayqueue.ErrPermitExpired) { // reported before, or lapsed
			err = nil
		}
		told <- err
	}) {
		return nil
	}
	select {
	case err := <-told:
		return err
	case <-ctx.Done():
		return ctxerr.Ended(ctx)
	}
}

// settle ends the permit's renewals and runs tell, beyond contexts and Close: the
// bucket's window hangs on it. It returns false if that was done before.
func (p *clientPermit) settle(tell func()) bool {
	p.mu.Lock()
	was := p.settled
	p.settled = true
	p.mu.Unlock()
	if was {
		return false
	}
	close(p.ended)
	p.client.run(tell)
	return true
}

// tell reports until the server knows, or it cannot matter any more, whether ctx
// ends or not: of it there are the values, such as a trace's.
func (p *clientPermit) tell(ctx context.Context, method, path string, body any) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTimeout)
	defer cancel()
	for n := 1; ; n++ {
		err := p.client.twice(ctx, reportPatience, func(ctx context.Context) error {
			return p.client.wire.send(ctx, method, path, body, nil)
		})
		if err == nil || !again(err) && !isForeign(err) {
			return err
		}
		if ctxerr.Sleep(ctx, min(retryIn(err, n), time.Second)) != nil {
			return ctxerr.Ended(ctx, err)
		}
	}
}
