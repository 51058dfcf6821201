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
)

const (
	// reportTimeout bounds for how long a report is repeated: by then the
	// permit's lease has ended, and with it the window after it.
	reportTimeout = 15 * time.Second

	// renewTimeout bounds one renewal.
	renewTimeout = 5 * time.Second

	leastRenewal = 100 * time.Millisecond // between two
)

// clientPermit implements [gatewayqueue.Permit].
type clientPermit struct {
	client  *Client
	id      string
	granted time.Time
	ended   chan struct{} // closed when it was reported

	mu       sync.Mutex
	deadline time.Time
	settled  bool
}

func (p *clientPermit) Deadline() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deadline
}

func (p *clientPermit) path() string { return permits + "/" + p.id }

// renew sends one renewal. The deadline counts from when it was sent.
func (p *clientPermit) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	sent := time.Now()
	var answer permitAnswer
	err := p.client.wire.send(ctx, http.MethodPut, p.path(), nil, &answer)
	if err == nil {
		p.move(sent.Add(time.Duration(answer.GoodFor) * time.Millisecond))
	}
	return err
}

func (p *clientPermit) move(deadline time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadline = deadline
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
		case !again(err) || ctxerr.Sleep(ctx, retryIn(err, n)) != nil:
			return false
		}
	}
}

// keep renews the permit until it was reported, has ended, or the client is
// closed.
func (p *clientPermit) keep() {
	ctx, cancel := context.WithDeadline(p.client.ctx, p.granted.Add(gatewayqueue.PermitBound))
	defer cancel()
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
		case again(err):
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
	return p.settle(ctx, http.MethodPost, p.path()+"/identified")
}

// Abandon implements [gatewayqueue.Permit].
func (p *clientPermit) Abandon(ctx context.Context) error {
	return p.settle(ctx, http.MethodDelete, p.path())
}

// settle reports what became of the permit, once.
func (p *clientPermit) settle(ctx context.Context, method, path string) error {
	p.mu.Lock()
	was := p.settled
	p.settled = true
	p.mu.Unlock()
	if was {
		return nil
	}
	close(p.ended)
	told := make(chan error, 1)
	p.client.run(func() { told <- p.tell(method, path) }) // beyond ctx and Close: the bucket's window hangs on it
	select {
	case err := <-told:
		return err
	case <-ctx.Done():
		return ctxerr.Ended(ctx)
	}
}

// tell reports until the server knows, or it cannot matter any more.
func (p *clientPermit) tell(method, path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), reportTimeout)
	defer cancel()
	for n := 1; ; n++ {
		err := p.client.wire.send(ctx, method, path, nil, nil)
		var answer *answerError
		switch {
		case err == nil, errors.As(err, &answer) && answer.is("gone"): // reported before, or lapsed
			return nil
		case !again(err):
			return err
		}
		if ctxerr.Sleep(ctx, min(retryIn(err, n), time.Second)) != nil {
			return ctxerr.Ended(ctx, err)
		}
	}
}
