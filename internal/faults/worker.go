package faults

// What a pod does for one of its shards: it brings it up, again and again until
// it is told to drain, and behaves as badly as callers may.

import (
	"context"
	"errors"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

func (p *pod) work(ctx context.Context, shard int) {
	for ctx.Err() == nil {
		p.rest(ctx, shard)
		p.say("waits", shard, 0, "")
		up, err := p.bringUp(ctx, shard)
		text := ""
		if err != nil {
			text = "gave up"
		}
		p.say("over", shard, 0, text)
		switch {
		case err != nil && ctx.Err() == nil && errors.Is(err, gatewayqueue.ErrClosed):
			return
		case err != nil && ctx.Err() == nil && !expected(err):
			p.say("error", shard, 0, err.Error())
			time.Sleep(100 * time.Millisecond)
		case up && (p.config.Once || p.isDraining()):
			return
		}
		if !p.config.Calm {
			time.Sleep(p.upTo(p.config.Window))
		}
	}
}

// rest lasts for as long as the pod shall be idle; an order may end it early.
// Shards come back one after the other.
func (p *pod) rest(ctx context.Context, shard int) {
	idle := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return time.Now().Before(p.idle)
	}
	if !idle() {
		return
	}
	for idle() && ctx.Err() == nil {
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(time.Duration(shard) * 10 * time.Millisecond)
}

// unreachable says if no dial succeeds for now.
func (p *pod) unreachable() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.dark)
}

func (p *pod) isDraining() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.draining
}

// expected says if an error is one that a caller asked for.
func expected(err error) bool {
	return errors.Is(err, errCancelled) || errors.Is(err, context.DeadlineExceeded)
}

// bringUp brings the shard up, and says whether it did.
func (p *pod) bringUp(ctx context.Context, shard int) (bool, error) {
	ctx, done := p.badContext(ctx, shard)
	defer done()
	if p.chance() < p.config.Waits && !p.unreachable() {
		if err := p.queue.Wait(ctx, shard); err != nil {
			return false, err
		}
		p.identify(clock(), shard)
		return true, nil
	}
	if p.chance() < 0.5 { // the library's own way, and not a caller's
		return p.identifies(ctx, shard)
	}
	permit, err := p.queue.Acquire(ctx, shard)
	if err != nil {
		return false, err
	}
	p.dial()
	settle, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if ctx.Err() != nil || p.below(0.05) || p.unreachable() {
		p.say("abandoned", shard, p.bucketOf(shard), "")
		_ = permit.Abandon(settle) // the queue keeps trying
		return false, errors.Join(ctx.Err(), errCancelled)
	}
	at := clock() // first, so that no pause can come between the look at the deadline and this
	if !time.Now().Before(permit.Deadline()) {
		p.say("expired", shard, p.bucketOf(shard), "")
		_ = permit.Abandon(settle) // as above
		return false, errCancelled
	}
	p.identify(at, shard)
	_ = permit.Identified(settle) // as above
	return true, nil
}

// identifies brings the shard up by Identify, which announces the IDENTIFY.
func (p *pod) identifies(ctx context.Context, shard int) (up bool, err error) {
	err = gatewayqueue.Identify(ctx, p.queue, shard, func(context.Context) error {
		p.dial()
		if p.below(0.05) || p.unreachable() {
			p.say("abandoned", shard, p.bucketOf(shard), "")
			return errCancelled
		}
		return nil
	}, func(context.Context) error {
		p.identify(clock(), shard)
		up = true
		if p.below(0.1) { // it takes its time to return
			time.Sleep(p.upTo(p.config.Window / 4))
		}
		return nil
	})
	if !up && errors.Is(err, gatewayqueue.ErrPermitExpired) {
		p.say("expired", shard, p.bucketOf(shard), "")
		err = errCancelled
	}
	return up, err
}

// badContext is a context that some callers would give: cancelled after a
// while, with a deadline, or cancelled in the instant of a grant.
func (p *pod) badContext(ctx context.Context, shard int) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	p.mu.Lock()
	p.calls[shard] = cancel
	p.mu.Unlock()
	done := func() { cancel(errCancelled) }
	if p.config.Calm {
		return ctx, done
	}
	switch kind := p.chance(); {
	case kind < 0.12:
		timer := time.AfterFunc(p.upTo(3*p.config.Window), done)
		return ctx, func() { timer.Stop(); done() }
	case kind < 0.2:
		p.mu.Lock()
		p.armed[shard] = cancel
		p.mu.Unlock()
		return ctx, func() {
			p.mu.Lock()
			delete(p.armed, shard)
			p.mu.Unlock()
			done()
		}
	case kind < 0.28:
		ctx, cancel := context.WithTimeout(ctx, p.upTo(4*p.config.Window))
		return ctx, func() { cancel(); done() }
	}
	return ctx, done
}

// dial takes as long as a dial does: mostly not long, now and then longer than
// a permit is good without renewals.
func (p *pod) dial() {
	time.Sleep(p.config.Dial)
	switch {
	case p.below(0.1):
		time.Sleep(p.upTo(3 * p.config.Window))
	default:
		time.Sleep(p.upTo(p.config.Window / 8))
	}
}

func (p *pod) identify(at time.Duration, shard int) {
	p.sayAt(at, "identify", shard, p.bucketOf(shard), "")
}

func (p *pod) bucketOf(shard int) int {
	if p.config.Queue != "redis" {
		return shard % naiveBuckets
	}
	if p.config.Role == "client" { // there max_concurrency stays as it is
		return shard % p.config.Limit.MaxConcurrency
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buckets[shard]
}
