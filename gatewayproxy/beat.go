// Heartbeats for a bot whose IDENTIFY is held, and who sends none itself.

package gatewayproxy

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/payload"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

// keepAlive sends heartbeats while an IDENTIFY is held, where the bot sends none, and
// gives a connection to Discord up that does not answer them. None is sent once
// IDENTIFY has left: Discord wants none before READY.
func (c *conn) keepAlive(ctx context.Context, h *held) {
	beat := wsframe.AppendMasked(nil, kindOf(c.wishes.etf), payload.Heartbeat(c.wishes.etf))
	for {
		c.mu.Lock()
		u, interval, due := c.up, c.interval, c.beaten.Add(c.interval*9/10)
		c.mu.Unlock()
		if wait := time.Until(due); wait > 0 {
			select {
			case <-time.After(wait):
				continue // the bot may have sent one meanwhile
			case <-ctx.Done():
				return
			}
		}
		if u != nil {
			if err := c.beatFor(u, h, beat, interval); err != nil {
				u.line.End(err)
				_ = u.line.Close()
			}
		}
		c.mu.Lock()
		c.beaten = time.Now()
		c.mu.Unlock()
	}
}

// beatFor sends one heartbeat for a bot whose IDENTIFY is held.
func (c *conn) beatFor(u *upstream, h *held, beat []byte, interval time.Duration) error {
	u.write.Lock()
	defer u.write.Unlock()
	c.mu.Lock()
	left := h.leaving != nil || c.held != h || c.up != u
	c.mu.Unlock()
	if left {
		return nil
	}
	if s := u.silence(); s > 2*interval {
		return fmt.Errorf("nothing has come for %v", s.Round(time.Millisecond))
	}
	return u.line.Beat(beat)
}

// kindOf is the kind of message that an encoding goes in.
func kindOf(etf bool) byte {
	if etf {
		return wsframe.Binary
	}
	return wsframe.Text
}
