// What comes from the gateway: it passes unchanged, and says when IDENTIFY is
// not worth sending any more.

package gatewayconn

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
)

// aheadLimit bounds what is read ahead, in bytes. Discord sends next to nothing
// to a client that has not identified.
const aheadLimit = 1 << 20

// inbound is the reading side of a Conn.
type inbound struct {
	mu      sync.Mutex
	changed sync.Cond
	reading bool // one goroutine is in the connection's Read
	ours    bool // it is the one that reads ahead
	running bool // there is one that reads ahead, as long as holds > 0
	holds   int
	held    bool // an IDENTIFY is, and its write has not begun
	waiting int  // calls of Read
	late    bool // the owner's deadline has passed while ours read for him

	ahead      []byte // was read, and not asked for yet
	err        error  // how reading ended
	readBefore time.Time
	heard      elapsed.Moment // the last time that anything came

	messages follower
	interval time.Duration // of heartbeats, as HELLO says; 0 before it
	refusals int           // op 9 since the last IDENTIFY or RESUME
}

// Read returns what the gateway has sent.
func (c *Conn) Read(p []byte) (int, error) {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	in.waiting++
	defer func() { in.waiting-- }()
	if in.ours { // it reads for us: no longer than we would
		_ = c.Conn.SetReadDeadline(in.readBefore) //nolint:errcheck // Of a connection that is closed: the read says so.
	}
	for in.reading && len(in.ahead) == 0 && in.err == nil && !in.late {
		in.changed.Wait()
	}
	switch {
	case len(in.ahead) > 0:
		n := copy(p, in.ahead)
		in.ahead = in.ahead[n:]
		return n, nil
	case in.err != nil:
		return 0, in.err
	case in.late:
		in.late = false
		c.end(os.ErrDeadlineExceeded)
		return 0, os.ErrDeadlineExceeded
	}
	in.reading = true
	in.mu.Unlock()
	n, err := c.Conn.Read(p)
	in.mu.Lock()
	in.reading = false
	in.changed.Broadcast()
	c.hear(p[:n])
	if err != nil {
		c.end(err)
	}
	return n, err
}

// SetReadDeadline holds for reads of the connection's owner, not for what is
// read ahead.
func (c *Conn) SetReadDeadline(t time.Time) error {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	in.readBefore = t
	if in.ours && in.waiting == 0 {
		return nil
	}
	return c.Conn.SetReadDeadline(t)
}

// hold reads ahead until done is called. ctx ends when what comes makes an
// IDENTIFY useless.
func (c *Conn) hold() (ctx context.Context, done func()) {
	in := &c.in
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.refusals > 1 { // the owner has read one, and will answer the other as well
		c.end(errRefused)
	}
	in.holds++
	in.held = true
	if !in.running {
		in.running = true
		go c.readAhead()
	}
	return c.ctx, func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		in.holds--
		in.changed.Broadcast()
	}
}

// readAhead reads for an owner who is held in Write, if he does not read himself.
func (c *Conn) readAhead() {
	in := &c.in
	buf := make([]byte, 4096)
	in.mu.Lock()
	defer in.mu.Unlock()
	defer func() { in.running = false }()
	for in.holds > 0 && in.err == nil {
		if in.reading || in.late {
			in.changed.Wait()
			continue
		}
		if len(in.ahead) > aheadLimit {
			c.end(fmt.Errorf("more than %d bytes came while it was held", aheadLimit))
			return
		}
		if in.waiting == 0 {
			_ = c.Conn.SetReadDeadline(time.Time{}) //nolint:errcheck // Of a connection that is closed: the read says so.
		}
		in.reading, in.ours = true, true
		in.mu.Unlock()
		n, err := c.Conn.Read(buf)
		in.mu.Lock()
		in.reading, in.ours = false, false
		_ = c.Conn.SetReadDeadline(in.readBefore) //nolint:errcheck // The same.
		in.ahead = append(in.ahead, buf[:n]...)
		c.hear(buf[:n])
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			in.late = in.waiting > 0 // else the deadline was set for a read that is over
		case err != nil:
			in.err = err
			c.end(err)
		}
		in.changed.Broadcast()
	}
}

var (
	errReconnect = errors.New("the gateway wants a new connection (op 7)")
	errRefused   = errors.New("the session was refused again (op 9) before it had answered")
)

// hear looks at what came. The caller holds in.mu.
func (c *Conn) hear(p []byte) {
	if len(p) == 0 {
		return
	}
	in := &c.in
	in.heard = elapsed.Now()
	in.messages.add(p, func(m inMessage) {
		switch {
		case m.closed:
			c.end(fmt.Errorf("closed by the gateway with %d", m.code))
		case m.op == opReconnect:
			c.end(errReconnect)
		case m.op == opInvalidSession:
			if in.refusals++; in.held {
				c.end(errRefused)
			}
		case m.op == opHello && m.interval > 0:
			in.interval = m.interval
		}
		if !m.closed && c.hooks.Event != nil {
			c.hooks.Event(m.op)
		}
	})
}

// answers notes that the owner is about to answer what he was told.
func (c *Conn) answers() {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.refusals, c.in.held = 0, false
}

// end ends what waits for the connection, and every IDENTIFY on it.
func (c *Conn) end(why error) { c.End(why) }

// Interval returns how often Discord wants heartbeats on this connection, as
// HELLO has said; 0 if it has not.
func (c *Conn) Interval() time.Duration {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	return c.in.interval
}

// Silence returns for how long nothing has come.
func (c *Conn) Silence() time.Duration {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	if c.in.heard.IsZero() {
		return 0
	}
	return c.in.heard.Since()
}
