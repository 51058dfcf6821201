// RESUME, which nothing holds but the want of a connection to Discord.

package gatewayproxy

import (
	"context"
	"time"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/payload"
)

// resume passes a RESUME on, which nothing holds. An IDENTIFY that is held gives way.
func (c *conn) resume(p payload.Payload, frames []byte) error {
	c.withdraw()
	app, ok := payload.App(p.Token)
	if !ok {
		return &payload.Refusal{Code: codeToken, Reason: badToken}
	}
	c.sight.resumes(app, p.Session)
	c.follow(p.Token)
	if u := c.upNow(); u != nil {
		c.mu.Lock()
		if c.phase == fresh {
			c.phase = resuming
		}
		c.mu.Unlock()
		u.forward(frames)
		return nil
	}
	c.holdResume(p, frames)
	return nil
}

// holdResume keeps a RESUME until there is a connection to Discord. The bot is read
// meanwhile: it may leave, or beat.
func (c *conn) holdResume(p payload.Payload, frames []byte) {
	ctx, cancel := context.WithCancelCause(c.ctx)
	h := &held{payload: p, frames: frames, since: time.Now(), cancel: cancel, done: make(chan struct{})}
	c.mu.Lock()
	c.held = h
	c.mu.Unlock()
	go func() {
		defer close(h.done)
		defer cancel(nil)
		for {
			u, err := c.upstream(ctx)
			if err != nil || c.leaves(u, h) {
				break
			}
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.held == h {
			c.held = nil
		}
	}()
}

// leaves sends a RESUME and what has come behind it. It reports whether it did.
func (c *conn) leaves(u *upstream, h *held) bool {
	u.write.Lock()
	defer u.write.Unlock()
	c.mu.Lock()
	if c.up != u {
		c.mu.Unlock()
		return false
	}
	behind := h.behind
	c.held, c.phase = nil, resuming
	c.mu.Unlock()
	for _, frames := range append([][]byte{h.frames}, behind...) {
		_ = u.line.Forward(frames) //nolint:errcheck // The reader of that connection sees it, too.
	}
	return true
}

// follow keeps a bot's queue open for as long as the bot is connected: through it the
// fleet is told what becomes of its shards. It does not wait.
func (c *conn) follow(token string) {
	c.follows.Do(func() {
		go func() {
			_, done, err := c.bot(c.ctx, token)
			if err == nil {
				context.AfterFunc(c.ctx, done)
			}
		}()
	})
}
