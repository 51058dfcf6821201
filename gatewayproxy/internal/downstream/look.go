// What a payload says, as far as the proxy must know it, and where READY has its
// URL. Payloads may have megabytes, so no more is read than that takes.

package downstream

import (
	"errors"
	"slices"
	"time"
)

// Opcodes of Discord that matter here.
const (
	opDispatch       = 0
	opInvalidSession = 9
	opHello          = 10
)

const (
	eventReady   = "READY"
	eventResumed = "RESUMED"
)

// resumeURL is the member of READY's d that is changed.
const resumeURL = "resume_gateway_url"

// envelope is the outside of a payload, as far as it was read.
type envelope struct {
	op       int
	event    string
	d        place
	hasOp    bool
	hasEvent bool
}

// place is where a value stands in a text.
type place struct{ start, end int }

// errEnough ends a walk over a payload of which no more need be known.
var errEnough = errors.New("downstream: enough is known")

// enough is errEnough if d does not matter, or nil.
func (e *envelope) enough() error {
	switch {
	case !e.hasOp, e.op == opInvalidSession, e.op == opHello:
		return nil
	case e.op == opDispatch && (!e.hasEvent || e.event == eventReady):
		return nil
	}
	return errEnough
}

// format is an encoding of payloads.
type format interface {
	// opcode is that of a message that is not compressed.
	opcode() byte
	// envelope reads the outside of a payload, up to where enough is known.
	envelope(text []byte) (envelope, error)
	// member finds the member of an object whose text is d. It is an error if the
	// object does not have exactly one.
	member(d []byte, name string) (place, error)
	// These are what the text of a value says.
	string(value []byte) (string, bool)
	integer(value []byte) (int64, bool)
	isTrue(value []byte) bool
	// quote is the text of a string.
	quote(value string) []byte
}

// edit puts another text in place of one value.
type edit struct {
	place
	with []byte
}

func (e *edit) apply(text []byte) []byte {
	return slices.Concat(text[:e.start], e.with, text[e.end:])
}

// look reads a payload. The edit is nil where nothing is to be changed.
func (s *Stream) look(text []byte) (Seen, *edit) {
	env, err := s.format.envelope(text)
	if err != nil {
		return Seen{}, nil
	}
	seen := Seen{Readable: true, Op: env.op, Event: env.event}
	d := text[env.d.start:env.d.end]
	switch {
	case env.op == opHello:
		if at, err := s.format.member(d, "heartbeat_interval"); err == nil {
			ms, _ := s.format.integer(d[at.start:at.end])
			seen.Interval = time.Duration(ms) * time.Millisecond
		}
	case env.op == opInvalidSession:
		seen.Resumable = s.format.isTrue(d)
	case env.op == opDispatch && env.event == eventResumed:
		s.settled = true
	case env.op == opDispatch && env.event == eventReady:
		s.settled = true
		return s.ready(seen, d, env.d.start)
	}
	return seen, nil
}

// Look reads a message that passes, as it is, of a client without a compressed
// stream. Of a stream that passes nothing can be known.
func (s *Stream) Look(opcode byte, p []byte) Seen {
	if s.client != None {
		return Seen{}
	}
	text, _, err := unpacked(opcode, p)
	if err != nil {
		return Seen{}
	}
	seen, _ := s.look(text)
	seen.Rewritten = false
	return seen
}

// ready finds READY's URL in its d, which begins at offset.
func (s *Stream) ready(seen Seen, d []byte, offset int) (Seen, *edit) {
	if offset+len(d) > MaxReady {
		seen.Problem = "READY has more than 16 MiB"
		return seen, nil
	}
	if at, err := s.format.member(d, "session_id"); err == nil {
		seen.Session, _ = s.format.string(d[at.start:at.end])
	}
	at, err := s.format.member(d, resumeURL)
	if err != nil {
		seen.Problem = "READY has no resume_gateway_url, or cannot be read"
		return seen, nil
	}
	var ok bool
	if seen.ResumeURL, ok = s.format.string(d[at.start:at.end]); !ok {
		seen.Problem = "READY's resume_gateway_url is not a string"
		return seen, nil
	}
	url := s.rewrite(seen.ResumeURL)
	if url == seen.ResumeURL {
		return seen, nil
	}
	seen.Rewritten = true
	return seen, &edit{place{offset + at.start, offset + at.end}, s.format.quote(url)}
}
