// Reading a zlib-stream message by message.

package downstream

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/gatewayqueue/gatewayqueue/internal/stored"
)

// maxWindow is the greatest CINFO of a zlib stream's header: a window of 32 KiB.
const maxWindow = 7

const (
	// maxKept is how much memory a connection keeps for its next message.
	maxKept = 4 << 10

	// maxShared is how much the buffer of a shared decoder keeps.
	maxShared = 1 << 20
)

// end is a last, empty stored block. What is behind a flush begins with a block, so
// there it ends the stream properly; anywhere else it is an error.
var end = []byte{0x01, 0x00, 0x00, 0xff, 0xff}

var errGarbage = errors.New("downstream: what came is no zlib-stream")

// inflater reads one upstream's stream. It keeps what deflate can refer to, and no
// decoder: those are shared, as each is needed only while a message is looked at.
type inflater struct {
	fresh   bool   // the stream's header is still to come
	piece   []byte // of a message whose flush is still to come
	history []byte // the last bytes of text, at most what deflate can refer to
}

func newInflater() *inflater { return &inflater{fresh: true} }

// decoder is what it takes to read one message.
type decoder struct {
	source joined
	flate  io.ReadCloser
	text   []byte
}

var decoders = sync.Pool{New: func() any {
	d := &decoder{}
	d.flate = flate.NewReader(&d.source)
	return d
}}

// release ends the use of the text that was read with d.
func (d *decoder) release() {
	d.source = joined{}
	if cap(d.text) > maxShared {
		d.text = nil
	}
	decoders.Put(d)
}

// pending reports whether a message has come in part.
func (in *inflater) pending() bool { return len(in.piece) > 0 }

// whole adds a message, and returns all that has come since the last flush, and
// whether it ends with one. Discord spreads no payload over messages; its
// documentation has clients expect that all the same.
func (in *inflater) whole(message []byte) (all []byte, flushed bool) {
	if in.pending() {
		message = append(in.piece, message...)
	}
	if bytes.HasSuffix(message, stored.Flush) {
		in.piece = nil
		return message, true
	}
	if !in.pending() {
		message = bytes.Clone(message)
	}
	in.piece = message
	return message, false
}

// header splits the stream's header off its first message, and returns what it says
// of the window.
func (in *inflater) header(message []byte) (window byte, rest []byte, err error) {
	if len(message) < 2 || message[0]&0x0f != 8 || message[0]>>4 > maxWindow ||
		message[1]&0x20 != 0 || (int(message[0])<<8|int(message[1]))%31 != 0 {
		return 0, nil, errGarbage
	}
	in.fresh = false
	return message[0] >> 4, message[2:], nil
}

// read inflates what ends with a flush. The text is good until it is released, which
// is up to the caller. After an error nothing more can be read.
func (in *inflater) read(message []byte, limit int) (text []byte, release func(), err error) {
	d := decoders.Get().(*decoder) //nolint:forcetypeassert // It holds nothing else.
	defer func() {
		if err != nil {
			d.release()
		}
	}()
	d.source = joined{first: message, then: end}
	if err := d.flate.(flate.Resetter).Reset(&d.source, in.history); err != nil {
		return nil, nil, err
	}
	d.text, err = readAll(d.flate, d.text[:0], limit)
	switch {
	case errors.Is(err, errTooLarge):
		return nil, nil, err
	case err != nil || len(d.source.first)+len(d.source.then) > 0:
		return nil, nil, errGarbage
	}
	in.remember(d.text)
	return d.text, d.release, nil
}

// kept is the buffer b if it is short enough to be kept, or nil.
func kept(b []byte) []byte {
	if cap(b) > maxKept {
		return nil
	}
	return b
}

// remember appends text to the history.
func (in *inflater) remember(text []byte) {
	if in.history == nil {
		in.history = make([]byte, 0, reach)
	}
	if len(text) >= reach {
		in.history = append(in.history[:0], text[len(text)-reach:]...)
		return
	}
	if excess := len(in.history) + len(text) - reach; excess > 0 {
		in.history = in.history[:copy(in.history, in.history[excess:])]
	}
	in.history = append(in.history, text...)
}

// readAll appends all of r to b, which may have limit bytes then.
func readAll(r io.Reader, b []byte, limit int) ([]byte, error) {
	for {
		if len(b) == cap(b) {
			b = slices.Grow(b, 4<<10)
		}
		n, err := r.Read(b[len(b):min(cap(b), limit+1)])
		b = b[:len(b)+n]
		switch {
		case len(b) > limit:
			return b, errTooLarge
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return b, err
		}
	}
}

// joined reads one slice after another, without copying them together.
type joined struct{ first, then []byte }

func (j *joined) ReadByte() (byte, error) {
	if len(j.first) == 0 {
		if len(j.then) == 0 {
			return 0, io.EOF
		}
		j.first, j.then = j.then, nil
	}
	c := j.first[0]
	j.first = j.first[1:]
	return c, nil
}

func (j *joined) Read(p []byte) (int, error) {
	if len(j.first) == 0 {
		if len(j.then) == 0 {
			return 0, io.EOF
		}
		j.first, j.then = j.then, nil
	}
	n := copy(p, j.first)
	j.first = j.first[n:]
	return n, nil
}
