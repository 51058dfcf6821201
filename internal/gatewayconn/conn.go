// Package gatewayconn is a connection to Discord's gateway that knows what its
// owner sends: IDENTIFY is held until it may leave, and reported when it has.
//
// It sits where a bot library dials, below its WebSocket, so it works with any
// library whose dial function can be set. It reads what is written, frame by
// frame. What comes from Discord passes unchanged, but is looked at for the end
// of the connection: an IDENTIFY that is held must not be written into one that
// has ended meanwhile. A library that waits in Write does not read, so the
// connection then reads ahead for it.
package gatewayconn

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

var (
	// ErrEncrypted says that the library does TLS above the connection, where
	// IDENTIFY cannot be seen.
	ErrEncrypted = errors.New("gatewayqueue: the dialer's NetDialTLSContext must be the queue's too")

	// ErrCompressed says that the library compresses what it sends.
	ErrCompressed = errors.New("gatewayqueue: the dialer's EnableCompression must be off: it hides IDENTIFY from the queue")

	// ErrNoRequest says that what the library writes does not begin with the
	// request of a WebSocket.
	ErrNoRequest = errors.New("gatewayqueue: the connection is for a WebSocket over HTTP/1.1, and must begin with its GET request")

	// ErrLost is in the error of an IDENTIFY that was not sent because its
	// connection had ended, or was about to.
	ErrLost = errors.New("gatewayqueue: IDENTIFY was not sent, because its connection has ended")
)

// requestLimit bounds the request that a WebSocket begins with, in bytes. Cookies
// make it long; net/http's servers take 1 MiB.
const requestLimit = 1 << 20

// Hooks are told of what is about to be sent. They run in the goroutine that
// writes.
type Hooks struct {
	// Identify is called when an IDENTIFY of a shard is about to be written. It
	// may block until that may be, and then calls send, once, or returns an
	// error: then nothing is written and the connection is closed. ctx ends with
	// the connection, whichever side ends it; its cause says how.
	Identify func(ctx context.Context, c *Conn, shardID int, send Send) error

	// Resume is called when a RESUME is about to be written; it may be nil.
	Resume func()

	// Closing is called when the library is about to write a close frame; it may
	// be nil.
	Closing func()

	// Event is called in the goroutine that reads when a message of the gateway
	// has come that is no longer than such messages are; it may be nil.
	Event func(op int)
}

// Send writes the IDENTIFY that is held, under a permit whose Deadline is looked
// at last. It reports whether the IDENTIFY was written, or perhaps was: the
// permit then counts as identified, also where there is an error; if not, the
// permit is to be abandoned. A write that blocks ends with ctx.
type Send func(ctx context.Context, permit gatewayqueue.Permit) (sent bool, err error)

// Conn is a connection below a WebSocket client.
type Conn struct {
	*Line
	hooks  Hooks
	silent *time.Timer // closes a connection on which no HELLO comes

	write    sync.Mutex
	upgraded bool
	request  []byte // what was written of the HTTP request so far
	messages reader

	in inbound
}

// Wrap makes conn one that calls hooks. It is closed unless its owner sends a
// first message, which he does on HELLO, within patience.
func Wrap(conn net.Conn, patience time.Duration, hooks Hooks) *Conn {
	c := &Conn{Line: NewLine(conn), hooks: hooks}
	c.leaving = c.answers
	c.in.changed.L = &c.in.mu
	c.silent = time.AfterFunc(patience, func() { c.cancel(nil); _ = conn.Close() })
	return c
}

// Close closes the connection and ends a hook that blocks. It does not wait.
func (c *Conn) Close() error {
	c.silent.Stop()
	return c.Line.Close()
}

// Done returns a context that ends when the connection is closed by its owner,
// by what it wrote, or by the other end, as far as that has been read.
func (c *Conn) Done() context.Context { return c.Line.Done() }

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

// handshake passes on the HTTP request that every WebSocket begins with, once
// all of it is there, and returns what comes after it.
func (c *Conn) handshake(p []byte) ([]byte, error) {
	if c.upgraded || len(p) == 0 {
		return p, nil
	}
	c.request = append(c.request, p...)
	if err := beginning(c.request); err != nil {
		return nil, err
	}
	const end = "\r\n\r\n"
	i := bytes.Index(c.request, []byte(end))
	switch {
	case i < 0 && len(c.request) > requestLimit:
		return nil, ErrNoRequest
	case i < 0:
		return nil, nil
	}
	head, rest := c.request[:i+len(end)], c.request[i+len(end):]
	c.upgraded, c.request = true, nil
	_, err := c.Conn.Write(withoutExtensions(head))
	return rest, err
}

// beginning says what a stream is that does not begin with a GET request.
func beginning(p []byte) error {
	const get, connect = "GET ", "CONNECT "
	switch is := func(s string) bool { return bytes.HasPrefix(p, []byte(s)[:min(len(s), len(p))]) }; {
	case is(get):
		return nil
	case is(connect), p[0] == 4, p[0] == 5: // HTTP, SOCKS 4 and 5
		return ErrProxied
	case p[0] == 0x16: // a TLS handshake
		return ErrEncrypted
	default:
		return ErrNoRequest
	}
}

// withoutExtensions returns a request that asks for no extension of the
// WebSocket protocol: the one that there is, compression, would hide IDENTIFY.
func withoutExtensions(head []byte) []byte {
	const name = "sec-websocket-extensions:"
	kept := make([]byte, 0, len(head))
	for line := range bytes.SplitAfterSeq(head, []byte("\n")) {
		if len(line) < len(name) || !bytes.EqualFold(line[:len(name)], []byte(name)) {
			kept = append(kept, line...)
		}
	}
	return kept
}

// pass passes on the messages that p completes.
func (c *Conn) pass(p []byte) error {
	c.messages.add(p)
	for {
		m, raw, err := c.messages.next()
		if err != nil || raw == nil {
			return err
		}
		switch {
		case m.Op == opIdentify:
			err = c.identify(m.shard(), raw)
		case m.Op == opResume:
			c.answers()
			if c.hooks.Resume != nil {
				c.hooks.Resume()
			}
			err = c.Forward(raw)
		case m.closes && c.hooks.Closing != nil:
			c.hooks.Closing()
			err = c.Forward(raw)
		default:
			err = c.Forward(raw)
		}
		if err != nil {
			return err
		}
	}
}

// identify holds an IDENTIFY until its hook sends it, or does not.
func (c *Conn) identify(shardID int, raw []byte) error {
	ctx, done := c.hold()
	defer done()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return c.hooks.Identify(ctx, c, shardID, func(ctx context.Context, permit gatewayqueue.Permit) (bool, error) {
		return c.Send(ctx, permit, raw)
	})
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetWriteDeadline holds for an IDENTIFY that waits, too: it is then not sent.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.deadlines.Lock()
	defer c.deadlines.Unlock()
	c.writeBefore = t
	return c.Conn.SetWriteDeadline(t)
}
