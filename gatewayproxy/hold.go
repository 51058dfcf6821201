// An IDENTIFY that is held: how that begins, and how it ends.

package gatewayproxy

import (
	"context"
	"errors"
	"time"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/payload"
)

// held is an IDENTIFY that waits for its turn, or a RESUME that waits for a connection
// to Discord.
type held struct {
	payload payload.Payload
	since   time.Time
	cancel  context.CancelCauseFunc
	done    chan struct{} // closed when it has left, or will not

	// Under the connection's mu.
	frames  []byte        // the message, as it came
	leaving chan struct{} // while an IDENTIFY is being written: closed when it has left, or has not
	behind  [][]byte      // messages that came after it
}

var (
	errWithdrawn = errors.New("the bot does not wait any more")
	errAlready   = errors.New("the connection has a session by then")
	errMoved     = errors.New("the connection to Discord was another one by then")
	errNoDiscord = errors.New("there was no connection to Discord in time")
	errTooLong   = errors.New("it was held for as long as it may be")
)

// identify holds an IDENTIFY, or puts it in the place of the one that is held.
func (c *conn) identify(p payload.Payload, frames []byte) error {
	app, ok := payload.App(p.Token)
	if !ok {
		return &payload.Refusal{Code: codeToken, Reason: badToken}
	}
	c.writing.Lock()
	readable := c.stream.CanRead()
	c.writing.Unlock()
	c.mu.Lock()
	for c.held != nil && c.held.leaving != nil { // whether it has left is known soon; its op 9 may have come before
		settled := c.held.leaving
		c.mu.Unlock()
		select {
		case <-settled:
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
		c.mu.Lock()
	}
	h := c.held
	switch {
	case h == nil && readable && (c.phase == identifying || c.phase == ready):
		c.mu.Unlock()
		return &payload.Refusal{Code: codeAlready, Reason: "IDENTIFY was sent on this connection before"}
	case h != nil && h.payload == p:
		h.frames, h.behind = frames, nil
		c.mu.Unlock()
		return nil
	}
	c.mu.Unlock()
	if h != nil {
		c.withdraw()
		c.mu.Lock()
		left := c.phase == identifying
		c.mu.Unlock()
		if left { // meanwhile
			return &payload.Refusal{Code: codeAlready, Reason: "IDENTIFY was sent on this connection before"}
		}
	}
	if !readable {
		c.replace()
		c.mu.Lock()
		c.phase = fresh
		c.mu.Unlock()
	}
	c.hold(app, p, frames)
	c.follow(p.Token)
	return nil
}

// hold begins to hold an IDENTIFY.
func (c *conn) hold(app string, p payload.Payload, frames []byte) {
	ctx, cancel := context.WithCancelCause(c.ctx)
	h := &held{payload: p, frames: frames, since: time.Now(), cancel: cancel, done: make(chan struct{})}
	c.mu.Lock()
	c.held = h
	if c.p.late == 0 {
		c.dials()
	}
	c.mu.Unlock()
	c.sight.holds(app, p.Shard)
	if most := c.p.mostHeld; most > 0 {
		timer := time.AfterFunc(most, func() { cancel(errTooLong) })
		context.AfterFunc(ctx, func() { timer.Stop() })
	}
	go c.keepAlive(ctx, h)
	go func() {
		defer close(h.done)
		err := c.await(ctx, h)
		cancel(err)
		c.mu.Lock()
		if c.held == h {
			c.held = nil
		}
		c.mu.Unlock()
		c.heldEnds(h, err)
	}()
}

// heldEnds tells what became of it.
func (c *conn) heldEnds(h *held, err error) {
	log := c.log.With("app", c.sight.app(), "shard", h.payload.Shard[0], "held", time.Since(h.since).Round(time.Millisecond))
	switch {
	case err == nil:
		log.Info("IDENTIFY has left")
	case errors.Is(err, ErrToken):
		log.Warn("IDENTIFY is refused: Discord does not take the token")
		c.finish(codeToken, "token: Discord refuses it")
	case errors.Is(err, errAlready):
		log.Warn("IDENTIFY is refused: a RESUME before it was taken")
		c.finish(codeAlready, "the session was resumed on this connection")
	case errors.Is(err, errTooLong):
		log.Info("IDENTIFY was held for long: the bot is sent away, and keeps its place", "linger", c.p.linger)
		c.finish(codeComeBack, "held for long: connect again, the place in line is kept")
	case errors.Is(err, errWithdrawn), errors.Is(err, errClosing), c.ctx.Err() != nil:
		c.sight.unheld()
		log.Debug("IDENTIFY is not held any more", "why", err)
	default:
		log.Warn("IDENTIFY cannot be held", "error", err)
		c.finish(codeComeBack, "the queue fails: connect again")
	}
}

// withdraw ends the hold of an IDENTIFY that has not left. Its place is kept for a
// while.
func (c *conn) withdraw() {
	c.mu.Lock()
	h := c.held
	c.mu.Unlock()
	if h != nil {
		h.cancel(errWithdrawn)
		<-h.done
	}
}

// holds reports whether an IDENTIFY is held.
func (c *conn) holds() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held != nil && c.held.payload.Op == payload.OpIdentify
}
