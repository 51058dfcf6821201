// What one upstream sends: copied, or read as a whole where the stream needs it.

package gatewayproxy

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/downstream"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

const (
	// readSize is what is read at once on a connection that says little, and copySize
	// on one that says much. Most connections are idle most of the time, and each has
	// a buffer of the first size. The other one goes back as soon as nothing waits.
	readSize = 2 << 10
	copySize = 32 << 10
)

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, copySize); return &b }}

// pump passes on what one upstream sends.
type pump struct {
	c *conn
	u *upstream

	small      []byte  // of readSize
	big        *[]byte // of copyBuffers, while much comes
	buf        []byte  // one of the two
	start, end int     // of what is read and not passed yet

	left    uint64 // bytes of the frame that passes which are still to come
	open    bool   // the message that passes has more frames
	message []byte // of the one that is read, its payload so far
	reading bool   // one is
	opcode  byte   // of it
	late    bool   // it has had its time to end, once it was to stop
}

func (p *pump) run() error {
	p.small = make([]byte, readSize)
	p.buf = p.small
	p.end = copy(p.buf, p.u.rest)
	p.u.rest = nil
	defer p.letGo()
	for {
		n, err := p.step(p.buf[p.start:p.end])
		p.start += n
		if err == nil && n == 0 {
			err = p.fill()
		}
		if err != nil {
			return p.ends(err)
		}
	}
}

// ends adds to an error whether it came between two messages.
func (p *pump) ends(err error) error {
	if closes := (*closeFrame)(nil); errors.As(err, &closes) && p.left == 0 {
		closes.among = p.open
		return err
	}
	if p.left > 0 || p.open {
		return midMessage{err}
	}
	if timedOut(err) && p.u.leaving.Load() {
		return errStopped
	}
	return err
}

// fill reads more.
func (p *pump) fill() error {
	p.makeRoom()
	n, err := p.more(p.buf[p.end:], p.end > 0)
	p.end += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// more reads what comes. Once the pump is to stop that ends at once, but for what has
// begun, which has a moment to end in.
func (p *pump) more(b []byte, begun bool) (int, error) {
	n, err := p.u.line.Read(b)
	if n == 0 && timedOut(err) && p.u.leaving.Load() && !p.late && (begun || p.left > 0 || p.open || p.reading) {
		p.late = true
		_ = p.u.line.SetReadDeadline(time.Now().Add(stopTimeout)) //nolint:errcheck // It is closed, then.
		n, err = p.u.line.Read(b)
	}
	if n > 0 {
		p.u.hear()
	}
	return n, err
}

// makeRoom moves what is not passed yet to the beginning of the buffer that fits what
// comes. There is room behind it: a header or a control frame is always smaller.
func (p *pump) makeRoom() {
	rest := p.buf[p.start:p.end]
	switch {
	case p.big == nil && p.end == len(p.buf):
		p.big = copyBuffers.Get().(*[]byte) //nolint:forcetypeassert // It holds nothing else.
		p.end = copy(*p.big, rest)
		p.buf = *p.big
	case p.big != nil && len(rest) < readSize && !p.u.line.Waiting():
		p.end = copy(p.small, rest)
		p.buf = p.small
		p.letGo()
	default:
		p.end = copy(p.buf, rest)
	}
	p.start = 0
}

func (p *pump) letGo() {
	if p.big != nil {
		copyBuffers.Put(p.big)
		p.big = nil
	}
}

// step passes on what can be, and returns how much of data is done with; none where
// more has to come first.
func (p *pump) step(data []byte) (n int, err error) {
	for n < len(data) {
		if p.left > 0 {
			k := int(min(p.left, uint64(len(data)-n)))
			n, p.left = n+k, p.left-uint64(k)
			continue
		}
		if !p.open && !p.reading && p.u.leaving.Load() {
			err = errStopped
			break
		}
		h, ok := wsframe.Parse(data[n:])
		if !ok {
			break
		}
		if !h.Sound() || h.Masked || h.Payload > math.MaxInt32 || !h.Control() && (h.Opcode == wsframe.Continuation) != (p.open || p.reading) {
			err = errors.New("a frame of Discord's that RFC 6455 does not allow")
			break
		}
		whole := h.Size + int(h.Payload)
		if h.Control() {
			if len(data)-n < whole {
				break
			}
			if h.Opcode == wsframe.Close {
				frame := append([]byte(nil), data[n:n+whole]...)
				err = &closeFrame{frame: frame, code: wsframe.CloseCode(frame[h.Size:])}
				break
			}
			n += whole
			continue
		}
		if p.reading || !p.open && !p.copied(h) {
			if n > 0 { // what comes before it first
				break
			}
			return p.read(h, data)
		}
		if short(h) {
			if len(data)-n < whole { // it is looked at as a whole
				break
			}
			p.c.looks(h.Opcode, data[n+h.Size:n+whole])
		}
		p.open, p.left = !h.Final, h.Payload
		n += h.Size
	}
	if n > 0 {
		if failed := p.c.pass(data[:n], p.left > 0 || p.open); failed != nil {
			return n, midMessage{failed}
		}
	}
	return n, err
}

// copied says that a message which begins with h is copied. One that is cut into
// frames, and may be short for all that, is not: see short.
func (p *pump) copied(h wsframe.Header) bool {
	if !p.passing() {
		return false
	}
	return h.Final || h.Payload > mostLooked || p.c.wishes.compression != downstream.None
}

// passing says that messages are not read.
func (p *pump) passing() bool {
	p.c.writing.Lock()
	defer p.c.writing.Unlock()
	return p.c.stream.Passing()
}

// read takes a frame of a message that is read as a whole, and passes it on once the
// last one is there.
func (p *pump) read(h wsframe.Header, data []byte) (n int, err error) {
	if h.Opcode != wsframe.Continuation {
		p.opcode = h.Opcode
	}
	if uint64(len(p.message))+h.Payload > downstream.MaxReady {
		return p.passLarge(h, data)
	}
	p.reading = true
	n = min(len(data), h.Size+int(h.Payload))
	p.message = append(p.message, data[h.Size:n]...)
	if rest := h.Size + int(h.Payload) - n; rest > 0 {
		at := len(p.message)
		p.message = append(p.message, make([]byte, rest)...)
		for at < len(p.message) {
			k, err := p.more(p.message[at:], true)
			at += k
			if err != nil {
				return n, err
			}
		}
	}
	if !h.Final {
		return n, nil
	}
	message := p.message
	p.reading, p.message = false, nil
	return n, p.c.passRead(p.opcode, message)
}

// passLarge lets a message pass unread that is too long to be read as a whole.
func (p *pump) passLarge(h wsframe.Header, data []byte) (n int, err error) {
	p.c.writing.Lock()
	passed := p.c.stream.Passing()
	err = p.c.stream.PassUnread()
	p.c.writing.Unlock()
	if err != nil {
		return 0, fmt.Errorf("a message of Discord's of more than %d MiB, which cannot pass unread: %w", downstream.MaxReady>>20, err)
	}
	if !passed {
		p.c.log.Warn("a message of Discord's is too long to be read: if it is READY, the bot resumes past the proxy")
		p.c.p.count(func(s *Stats) { s.Unrewritten++ })
	}
	begun, has := p.message, p.reading
	p.reading, p.message = false, nil
	p.open, p.left = !h.Final, h.Payload
	if has { // what was read of it goes first
		frame := wsframe.Append(nil, p.opcode, begun)
		frame[0] &^= 0x80 // not the last one
		if err := p.c.pass(frame, true); err != nil {
			return 0, midMessage{err}
		}
	}
	return h.Size, p.c.pass(data[:h.Size], true)
}

// pass copies whole frames, or parts of them, to the bot.
func (c *conn) pass(p []byte, partly bool) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.partly = partly
	return c.write(p)
}

// passRead sends the bot what a message becomes, and notes what it says.
func (c *conn) passRead(opcode byte, message []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	passed := c.stream.Passing()
	kind, out, seen, err := c.stream.Message(opcode, message)
	if err != nil {
		return fmt.Errorf("a message of Discord's cannot be read: %w", err)
	}
	if passed && len(message) <= mostLooked {
		seen = c.stream.Look(opcode, message)
	}
	c.sees(seen)
	if len(out) == 0 {
		return nil
	}
	return c.write(wsframe.Append(nil, kind, out))
}

// short says that a message is looked at which is copied: without compression heartbeats
// are answered with such, and sessions ended.
func short(h wsframe.Header) bool {
	return h.Opcode != wsframe.Continuation && h.Final && h.Payload <= mostLooked
}

// mostLooked is up to how many bytes a message is looked at: "reconnect", "invalid
// session" and heartbeats have less than 50.
const mostLooked = 96
