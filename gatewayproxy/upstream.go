// The connection to Discord behind a bot's: it may be replaced behind the bot's back
// while nothing but HELLO has come of it.

package gatewayproxy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn"
)

// firstRedial and mostRedial are between two dials of a connection, of which the first
// after a connection that lasted for steady is at once.
const (
	firstRedial = time.Second
	mostRedial  = 15 * time.Second
	steady      = time.Minute
)

// upstream is a connection to a gateway.
type upstream struct {
	line  *gatewayconn.Line
	rest  []byte // what came before the pump read
	joins bool   // the bot has had another one before, or the proxy's own HELLO

	write   sync.Mutex  // whole frames
	leaving atomic.Bool // its pump is to stop between two messages
	heard   atomic.Int64
}

// newUpstream makes one that is closed when the bot's connection is over. Discord gets
// no close frame then: the session can be resumed.
func (c *conn) newUpstream(up *upgraded) *upstream {
	u := &upstream{line: gatewayconn.NewLine(up.conn), rest: up.rest}
	u.hear()
	context.AfterFunc(c.ctx, func() { _ = u.line.Close() })
	return u
}

// hear notes that something has come.
func (u *upstream) hear() { u.heard.Store(time.Now().UnixNano()) }

// silence is for how long nothing has come.
func (u *upstream) silence() time.Duration { return time.Since(time.Unix(0, u.heard.Load())) }

// forward passes frames on. An error is ignored: the reader of the connection sees it,
// too.
func (u *upstream) forward(frames []byte) {
	u.write.Lock()
	defer u.write.Unlock()
	_ = u.line.Forward(frames) //nolint:errcheck // As above.
}

// close closes it, if there is one.
func (u *upstream) close() error {
	if u == nil {
		return nil
	}
	return u.line.Close()
}

// stop has its pump stop between two messages: at once, or soon in the midst of one
// (see more).
func (u *upstream) stop() {
	u.leaving.Store(true)
	_ = u.line.SetReadDeadline(time.Now()) //nolint:errcheck // It is closed, then.
}

// attach makes u the connection's.
func (c *conn) attach(u *upstream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.up, c.dialling, c.attached = u, false, time.Now()
	if c.ending {
		u.stop()
	}
	c.tellChange()
}

// tellChange wakes who waits for another upstream. The caller holds mu.
func (c *conn) tellChange() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// upNow is the upstream there is, or nil.
func (c *conn) upNow() *upstream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.up
}

// upstream returns the upstream there is, or waits for one. It dials if nobody does.
func (c *conn) upstream(ctx context.Context) (*upstream, error) {
	for {
		c.mu.Lock()
		u, changed := c.up, c.changed
		c.dials()
		c.mu.Unlock()
		if u != nil {
			return u, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// dials has an upstream dialled unless there is one. The caller holds mu.
func (c *conn) dials() {
	if c.up == nil && !c.dialling {
		c.dialling = true
		go c.dial()
	}
}

// dial connects to the bot's gateway until that works, or the connection is over. For
// an IDENTIFY any gateway will do: every other time that is the one where bots begin,
// since the other may be gone for good.
func (c *conn) dial() {
	if !c.paces() {
		return
	}
	to := c.way.to
	for wait := firstRedial; ; wait = min(2*wait, mostRedial) {
		up, err := c.p.dial(c.ctx, to, c.wishes.query, c.header)
		if err == nil {
			u := c.newUpstream(up)
			u.joins = true
			c.next <- u // there is room: nobody dials while there is one
			return
		}
		if c.ctx.Err() != nil {
			return
		}
		c.p.count(func(s *Stats) { s.FailedDials++ })
		c.log.Warn("Discord's gateway cannot be reached: tried again while the bot waits", "gateway", to.host, "error", err, "again_in", wait)
		select {
		case <-time.After(wait):
		case <-c.ctx.Done():
			return
		}
		if to != c.p.hosts.front && c.holds() {
			to = c.p.hosts.front
		} else {
			to = c.way.to
		}
	}
}

// paces waits before a dial if the last connection has ended soon: a gateway that takes
// connections and closes them must not be dialled as fast as it does. It reports
// whether the bot is still there.
func (c *conn) paces() bool {
	c.mu.Lock()
	if time.Since(c.attached) >= steady { // also the first one that there is
		c.pause = 0
	}
	pause := c.pause
	c.pause = min(max(2*pause, firstRedial), mostRedial)
	c.mu.Unlock()
	select {
	case <-time.After(pause):
		return true
	case <-c.ctx.Done():
		return false
	}
}

// replace ends the upstream there is, so that IDENTIFY goes to another one: what it
// would answer here could not be read.
func (c *conn) replace() {
	c.mu.Lock()
	u := c.up
	c.up, c.pause = nil, 0 // the queue paces it
	c.tellChange()
	c.mu.Unlock()
	if u != nil {
		u.stop()
	}
}

// lose takes out an upstream that has ended, and reports whether the bot need not
// know: it is about to identify, and can do so on another one. Where it does not wait
// for that, but Discord is to be dialled late, it is as if it had not been dialled.
func (c *conn) lose(u *upstream, code int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.up != u: // it was replaced
		return true
	case c.ending, c.phase != fresh, !comesBack(code), c.held == nil && c.p.late == 0:
		return false
	}
	c.up = nil
	c.tellChange()
	if c.held != nil {
		c.dials()
	}
	return true
}

// comesBack reports whether a gateway that closes with this code is only to be
// connected to again.
func comesBack(code int) bool {
	switch code {
	case codeNone, 1000, 1001, 1005, 1006, 1011, 1012, 1013, codeComeBack, 4009:
		return true
	}
	return false
}

// codeNone is that of a connection which ended without a close frame.
const codeNone = 0
