// The turn of an IDENTIFY that is held: the wait for it, and how the message leaves.

package gatewayproxy

import (
	"context"
	"errors"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn"
)

// dialWithin is for how long a permit is kept for a connection to Discord, which others
// could use meanwhile: a dial may take as long. Tests have less time.
var dialWithin = handshakeTimeout + 2*time.Second

// await waits for the turn of an IDENTIFY, and sends it. An error means that it was
// not sent.
func (c *conn) await(ctx context.Context, h *held) error {
	bot, done, err := c.bot(ctx, h.payload.Token)
	if err != nil {
		return err
	}
	defer done()
	for {
		permit, since, err := bot.acquire(ctx, h.payload.Shard[0], c.p.linger)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return err
		}
		sent, err := c.send(ctx, h, permit)
		if sent {
			return nil
		}
		bot.leaves(h.payload.Shard[0], since, c.p.linger)
		c.p.reports.Abandon(permit, c.unreported)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case c.p.open.Err() != nil:
			return errClosing
		case errors.Is(err, errAlready):
			return err
		case errors.Is(err, errNoDiscord): // it asks once there is one
			if _, err := c.upstream(ctx); err != nil {
				return err
			}
		case errors.Is(err, gatewayconn.ErrLost):
			_ = c.upNow().close() // The pump sees to another one.
		}
		c.log.Debug("a granted IDENTIFY could not leave: it asks again", "shard", h.payload.Shard[0], "error", err)
	}
}

// bot finds the queue of who identifies, for as long as it may take.
func (c *conn) bot(ctx context.Context, token string) (*bot, func(), error) {
	for wait := firstRetry; ; wait = min(2*wait, mostRetry) {
		bot, done, err := c.p.bots.use(ctx, token)
		if err == nil || errors.Is(err, ErrToken) || ctx.Err() != nil {
			return bot, done, err
		}
		c.log.Warn("no queue for a bot: an IDENTIFY of it is held, and it is tried again", "app", c.sight.app(), "error", err, "again_in", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
}

// send sends an IDENTIFY under its permit, and what has come behind it. The permit is
// reported if it was sent, or perhaps was.
func (c *conn) send(ctx context.Context, h *held, permit gatewayqueue.Permit) (sent bool, err error) {
	dialled, cancel := context.WithTimeoutCause(ctx, dialWithin, errNoDiscord)
	defer cancel()
	u, err := c.upstream(dialled)
	if err != nil {
		return false, err
	}
	u.write.Lock()
	defer u.write.Unlock()
	c.mu.Lock()
	switch {
	case c.up != u || c.ending:
		c.mu.Unlock()
		return false, errMoved
	case c.phase == ready: // a RESUME before it was taken after all
		c.mu.Unlock()
		return false, errAlready
	}
	before := c.phase
	h.leaving, c.phase = make(chan struct{}), identifying
	frames := h.frames
	c.mu.Unlock()

	c.writing.Lock()
	c.stream.Identified()
	c.writing.Unlock()
	c.sight.goes()
	leave := func(ctx context.Context, permit gatewayqueue.Permit) (bool, error) {
		return u.line.Send(ctx, permit, frames)
	}
	sent, err = c.p.sends.Do(ctx, c.p.open, leave, permit)
	c.mu.Lock()
	behind := h.behind
	if sent {
		c.held = nil
	} else {
		c.phase = before
	}
	close(h.leaving)
	h.leaving = nil
	c.mu.Unlock()
	if !sent {
		return false, err
	}
	c.sight.identifies()
	c.p.reports.Identified(permit, u.line, c.unreported)
	if err != nil { // a part of it may have left: nothing more may
		_ = u.line.Close() // The bot hears of it from the pump.
		return true, nil
	}
	for _, b := range behind {
		_ = u.line.Forward(b) //nolint:errcheck // The reader of that connection sees it, too.
	}
	return true, nil
}

func (c *conn) unreported(err error) {
	c.log.Warn("what became of a permit could not be reported yet", "error", err)
}
