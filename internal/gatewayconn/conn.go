// Package gatewayconn is a connection to Discord's gateway that knows what its
// owner sends: IDENTIFY is held until it may leave, and reported when it has.
//
// It sits where a bot library dials, below its WebSocket, so it works with any
// library whose dial function can be set. It reads what is written, frame by
// frame; what comes from Discord passes unread.
package gatewayconn

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

var (
	// ErrEncrypted says that the library does TLS above the connection, where
	// IDENTIFY cannot be seen.
	ErrEncrypted = errors.New("gatewayqueue: the dialer's NetDialTLSContext must be the queue's too")

	// ErrCompressed says that the library compresses what it sends.
	ErrCompressed = errors.New("gatewayqueue: the dialer's EnableCompression must be off: it hides IDENTIFY from the queue")
)

// Hooks are told of what is about to be sent. They run in the goroutine that
// writes.
type Hooks struct {
	// Identify is called when an IDENTIFY of a shard is about to be written. It
	// may block until that may be; ctx ends when the connection is closed. With
	// an error nothing is written and the connection is closed. Otherwise sent
	// is called when it was written, or perhaps was.
	Identify func(ctx context.Context, c *Conn, shardID int) (sent func(), err error)

	// Resume is called when a RESUME is about to be written; it may be nil.
	Resume func()
}

// Conn is a connection below a WebSocket client.
type Conn struct {
	net.Conn
	hooks  Hooks
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	silent *time.Timer // closes a connection on which no HELLO comes

	write    sync.Mutex
	upgraded bool
	request  []byte // the end of what was written of the HTTP request
	messages reader
}

// Wrap makes conn one that calls hooks. It is closed unless its owner sends a
// first message, which he does on HELLO, within patience.
func Wrap(conn net.Conn, patience time.Duration, hooks Hooks) *Conn {
	c := &Conn{Conn: conn, hooks: hooks}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.silent = time.AfterFunc(patience, func() { c.cancel(); _ = conn.Close() })
	return c
}

// Close closes the connection and ends a hook that blocks. It does not wait.
func (c *Conn) Close() error {
	c.silent.Stop()
	c.cancel()
	return c.Conn.Close()
}

// Done returns a context that ends when the connection is closed by its owner,
// or by what it wrote.
func (c *Conn) Done() context.Context { return c.ctx }

// Write passes on what a WebSocket client writes, whole messages at a time.
func (c *Conn) Write(p []byte) (int, error) {
	c.write.Lock()
	defer c.write.Unlock()
	frames, err := c.handshake(p)
	if err == nil && len(frames) > 0 {
		c.silent.Stop()
		err = c.pass(frames)
	}
	if err != nil {
		_ = c.Close()
		return 0, err
	}
	return len(p), nil
}

// handshake passes on the HTTP request that every WebSocket begins with, and
// returns what comes after it.
func (c *Conn) handshake(p []byte) ([]byte, error) {
	if c.upgraded {
		return p, nil
	}
	const end = "\r\n\r\n"
	if c.request == nil && len(p) > 0 && p[0] != 'G' { // of GET
		return nil, ErrEncrypted
	}
	before := len(c.request)
	c.request = append(c.request, p...)
	i := bytes.Index(c.request, []byte(end))
	if i < 0 {
		c.request = c.request[max(0, len(c.request)-len(end)+1):]
		_, err := c.Conn.Write(p)
		return nil, err
	}
	c.upgraded, c.request = true, nil
	mine := i + len(end) - before
	_, err := c.Conn.Write(p[:mine])
	return p[mine:], err
}

// pass passes on the messages that p completes.
func (c *Conn) pass(p []byte) error {
	c.messages.add(p)
	for {
		m, raw, err := c.messages.next()
		if err != nil || raw == nil {
			return err
		}
		var sent func()
		switch {
		case m.Op == opIdentify:
			if sent, err = c.hooks.Identify(c.ctx, c, m.shard()); err != nil {
				return err
			}
		case m.Op == opResume && c.hooks.Resume != nil:
			c.hooks.Resume()
		}
		_, err = c.Conn.Write(raw)
		if sent != nil {
			sent()
		}
		if err != nil {
			return err
		}
	}
}

// Heartbeat sends a heartbeat for an owner who cannot, because a hook holds
// him. It names no sequence number: who is about to identify has none. It may
// be called from the Identify hook only.
func (c *Conn) Heartbeat() error {
	_, err := c.Conn.Write(textFrame([]byte(`{"op":1,"d":null}`)))
	return err
}
