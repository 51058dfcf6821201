// How a connection ends: with whose close frame, or with none. It decides whether
// Discord keeps the session: it does unless the bot itself says 1000 or 1001.

package gatewayproxy

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/payload"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

const (
	// closeTimeout is how long the other side may take to answer a close frame.
	closeTimeout = 5 * time.Second

	// stopTimeout is how long a message that is on its way to the bot may take
	// before the connection is cut in its midst.
	stopTimeout = 500 * time.Millisecond
)

// botCloses passes the bot's close frame on. Where Discord is not there it is
// answered.
func (c *conn) botCloses(m clientMessage) {
	c.withdraw()
	c.mu.Lock()
	u, answers := c.up, c.ending
	c.closes, c.ending = u != nil, true
	c.mu.Unlock()
	if !answers {
		c.sight.closed(wsframe.CloseCode(m.text), byBot)
	}
	switch {
	case u != nil:
		u.forward(m.frames)
		_ = u.line.SetReadDeadline(time.Now().Add(closeTimeout)) //nolint:errcheck // It is closed, then.
	case !answers:
		c.toBot(wsframe.Append(nil, wsframe.Close, m.text))
	}
}

// endsInOrder reports whether the bot's close frame was passed on.
func (c *conn) endsInOrder() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closes
}

// discordCloses passes Discord's close frame on, and waits for the bot's answer.
func (c *conn) discordCloses(frame []byte, code int) {
	c.mu.Lock()
	answers := c.ending
	c.ending = true
	c.mu.Unlock()
	if !answers {
		c.sight.closed(code, byDiscord)
	}
	_ = c.client.SetReadDeadline(time.Now().Add(closeTimeout)) //nolint:errcheck // It is closed, then.
	c.writing.Lock()
	defer c.writing.Unlock()
	_ = c.write(frame) //nolint:errcheck // The connection ends with it. Between two frames it may stand.
}

// finish ends the connection with a close frame of the proxy's own, once the message
// that is on its way has passed. Discord gets none. It does not wait.
func (c *conn) finish(code int, reason string) {
	c.mu.Lock()
	if c.ending {
		c.mu.Unlock()
		return
	}
	c.ending = true
	c.said = wsframe.Append(nil, wsframe.Close, wsframe.ClosePayload(code, reason))
	u := c.up
	c.mu.Unlock()
	close(c.finishing)
	c.sight.closed(code, byProxy)
	c.log.Debug("the proxy closes a connection", "code", code, "reason", reason)
	_ = c.client.SetDeadline(time.Now().Add(closeTimeout)) //nolint:errcheck // It is closed, then.
	if u != nil {
		u.stop()
	}
}

// cut ends the connection without a close frame.
func (c *conn) cut(why error) {
	c.cancel(why)
	_ = c.client.Close()
}

// end closes what is open. A place that was held is kept.
func (c *conn) end() {
	c.cut(nil)
	c.withdraw()
	c.sight.leaves()
	c.p.gone(c)
}

// drain waits for the bot to close: a socket that is closed with bytes unread drops
// what was written last.
func (c *conn) drain() {
	if tcp, ok := c.client.(interface{ CloseWrite() error }); ok {
		_ = tcp.CloseWrite() //nolint:errcheck // It is closed, then.
	}
	_ = c.client.SetReadDeadline(time.Now().Add(closeTimeout)) //nolint:errcheck // The same.
	var refusal *payload.Refusal
	for {
		m, err := c.from.next()
		if errors.As(err, &refusal) {
			_, _ = io.Copy(io.Discard, io.LimitReader(c.from.in, 1<<20)) //nolint:errcheck // Nobody wants it.
			return
		}
		if err != nil || m.opcode == wsframe.Close {
			return
		}
	}
}

// timedOut reports whether a read has ended at its deadline.
func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
