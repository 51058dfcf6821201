// The upstreams of a connection, one after the other, and what becomes of it when one
// ends.

package gatewayproxy

import (
	"errors"
	"fmt"
)

// pump passes on what each upstream sends, one after the other, and writes the close
// frame of the proxy's own.
func (c *conn) pump() {
	for {
		select {
		case <-c.finishing:
			c.sayLast()
			return
		case u := <-c.next:
			if u.joins {
				c.writing.Lock()
				c.stream.Join()
				c.writing.Unlock()
				c.attach(u)
			}
			if !c.pumped(u, (&pump{c: c, u: u}).run()) {
				return
			}
		case <-c.ctx.Done():
			return
		}
	}
}

// sayLast sends the close frame of the proxy's own.
func (c *conn) sayLast() {
	c.mu.Lock()
	said := c.said
	c.mu.Unlock()
	c.toBot(said)
}

// errStopped ends a pump between two messages because it was asked to.
var errStopped = errors.New("stopped between two messages")

// closeFrame ends a pump: Discord has sent it.
type closeFrame struct {
	frame []byte
	code  int
	among bool // the frames of a message, of which a part has passed
}

func (e *closeFrame) Error() string { return fmt.Sprintf("Discord has closed with %d", e.code) }

// midMessage ends a pump in the midst of a message: nothing else can be sent to the
// bot any more.
type midMessage struct{ error }

func (e midMessage) Unwrap() error { return e.error }

// pumped sees to the end of an upstream, and reports whether the connection goes on:
// with another one, or to write the proxy's close frame.
func (c *conn) pumped(u *upstream, err error) bool {
	var closes *closeFrame
	var mid midMessage
	code := codeNone
	if errors.As(err, &closes) {
		code = closes.code
	} else {
		_ = u.line.Close() // Without a close frame.
	}
	u.line.End(err) // an IDENTIFY that waits is not written into it
	c.mu.Lock()
	finishing := c.said != nil
	c.mu.Unlock()
	switch {
	case errors.As(err, &mid):
		c.log.Debug("the connection to Discord has ended in the midst of a message", "error", err)
		c.sight.closed(codeNone, byDiscord)
		c.cut(err)
		return false
	case finishing:
		_ = u.line.Close() // The same.
		return true
	case (closes == nil || !closes.among) && c.lose(u, code):
		c.writing.Lock()
		c.stream.Join()
		c.writing.Unlock()
		c.log.Debug("the connection to Discord has ended before IDENTIFY: the bot keeps its own", "error", err)
		c.p.count(func(s *Stats) { s.Redials++ })
		_ = u.line.Close() // The same.
		return true
	case closes != nil:
		c.discordCloses(closes.frame, closes.code)
		return false
	}
	if !c.endsInOrder() {
		c.log.Debug("the connection to Discord has ended without a close frame", "error", err)
		c.sight.closed(codeNone, byDiscord)
	}
	c.cut(err)
	return false
}
