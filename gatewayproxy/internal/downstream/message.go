// One message of an upstream, and what becomes of it.

package downstream

import (
	"bytes"
	"compress/zlib"
	"errors"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/stored"
)

// Seen is what a message was seen to say.
type Seen struct {
	Readable  bool          // the rest is known
	Op        int           // the opcode
	Event     string        // of a dispatch (opcode 0): its name
	Interval  time.Duration // of HELLO: between heartbeats
	Resumable bool          // of an invalid session (opcode 9): whether a RESUME may help
	ResumeURL string        // of READY: Discord's own
	Session   string        // of READY: session_id, or empty if it has none
	Rewritten bool          // of READY: the client gets another URL
	Problem   string        // why READY passed with Discord's own URL though it should have had another, or empty
}

// Message takes a whole WebSocket message of the upstream and returns what the
// client is to get: nothing (a nil slice) for a HELLO behind Join, and for a part of
// a payload whose rest is still to come. The bytes are good until the next call, and
// may be p itself. After an error, of a stream that cannot be read, the connection
// must end.
func (s *Stream) Message(opcode byte, p []byte) (outOpcode byte, out []byte, seen Seen, err error) {
	switch {
	case s.Passing():
		return opcode, p, Seen{}, nil
	case s.client == None || opcode == opText:
		// Discord sends no text into a stream. If it did, that would be no part of it.
		out, seen = s.alone(opcode, p)
		return opcode, out, seen, nil
	}
	out, seen, err = s.streamed(p)
	return opBinary, out, seen, err
}

// alone is a message that is in no stream.
func (s *Stream) alone(opcode byte, p []byte) (out []byte, seen Seen) {
	text, packed, err := unpacked(opcode, p)
	if err != nil {
		return p, Seen{Problem: "a compressed payload that cannot be read, or is too long"}
	}
	seen, e := s.look(text)
	switch {
	case s.swallow(seen):
		return nil, seen
	case e == nil:
		return p, seen
	case packed:
		return stored.AppendZlib(nil, e.apply(text)), seen
	default:
		return e.apply(text), seen
	}
}

// unpacked is the text of a message that is in no stream. Some are a zlib stream of
// their own (packed), where IDENTIFY said compress: true.
func unpacked(opcode byte, p []byte) (text []byte, packed bool, err error) {
	if opcode != opBinary || !isZlib(p) {
		return p, false, nil
	}
	text, err = inflate(p)
	return text, true, err
}

// isZlib reports whether a message begins as a zlib stream does, and no JSON and no
// term.
func isZlib(p []byte) bool {
	return len(p) > 2 && p[0]&0x0f == 8 && p[0]>>4 <= maxWindow && (int(p[0])<<8|int(p[1]))%31 == 0
}

// inflate reads a zlib stream that is one message.
func inflate(p []byte) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(p))
	if err != nil {
		return nil, err
	}
	return readAll(r, make([]byte, 0, min(8*len(p), MaxReady)), MaxReady)
}

// streamed is a message of a zlib-stream.
func (s *Stream) streamed(p []byte) (out []byte, seen Seen, err error) {
	whole, flushed := s.in.whole(p)
	if !flushed {
		if len(whole) <= MaxReady {
			return nil, Seen{}, nil
		}
		return s.tooLarge(whole, s.in.fresh)
	}
	// raw is what a client reads that can read Discord's own bytes.
	raw, deflated, begins := whole, whole, s.in.fresh
	if begins {
		var window byte
		if window, deflated, err = s.in.header(whole); err != nil {
			return nil, Seen{}, err
		}
		switch {
		case s.begun:
			raw, s.narrow = deflated, window > s.window
		case s.client == ZlibStream:
			s.window = window
		}
	}
	fits := s.fits()
	limit := maxOwn
	if fits {
		limit = MaxReady
	}
	text, release, err := s.in.read(deflated, limit)
	switch {
	case errors.Is(err, errTooLarge):
		return s.tooLarge(raw, false)
	case err != nil:
		return nil, Seen{}, err
	}
	defer release()
	seen, e := s.look(text)
	s.sent += len(text)
	switch {
	case s.swallow(seen):
		return nil, seen, nil // It was sent, and has not come to the client.
	case e != nil:
		out = s.own(e.apply(text))
		s.common = len(text) - e.end
	case fits:
		out, s.begun = raw, true
		s.common += len(text)
	default:
		out = s.own(text)
		s.common += len(text)
	}
	if s.settled && s.fits() {
		s.pass()
	}
	return out, seen, nil
}

// tooLarge is a message of a payload that is too long to be read. It passes if it
// can, and then nothing more is read. withHeader says that raw begins with a
// stream's header.
func (s *Stream) tooLarge(raw []byte, withHeader bool) (out []byte, seen Seen, err error) {
	if !s.fits() || s.joined || withHeader && s.begun {
		return nil, Seen{}, errTooLarge
	}
	s.begun = true
	s.pass()
	return raw, Seen{Problem: "a payload has more than 16 MiB"}, nil
}

// swallow reports whether what was seen is the HELLO behind Join.
func (s *Stream) swallow(seen Seen) bool {
	behind := s.joined
	s.joined = false
	return behind && seen.Readable && seen.Op == opHello
}
