// Package downstream makes what a client receives of what Discord sends. One value
// is changed, resume_gateway_url in READY, so that a client resumes through the
// proxy and not past it; every other byte of the payloads is Discord's.
//
// In a compressed stream that is not one edit: whatever Discord sends later may
// refer to what it sent before. A [Stream] is in one of these states:
//
//   - Following. Discord's bytes go out as they are, and an inflater reads along:
//     from the beginning of the connection until READY or RESUMED.
//   - Own. What the client has received differs from what Discord has sent, so the
//     client's bytes are made here, of blocks that are not compressed (package
//     internal/stored), and the inflater goes on: from a READY that was changed,
//     from a payload of the proxy's own, or from the moment at which another
//     upstream took over.
//   - Passing. Discord's bytes go out as they are, and nobody reads them.
//
// Deflate refers to at most the last 32,768 bytes. So where the last 32,768 bytes
// of text are the same on both sides Discord's bytes fit again, which takes that
// much text behind the change. zstd also refers to offsets and tables of long ago, so
// a client that asked for zstd-stream gets its stream from here for as long as the
// connection lasts, and Discord is asked for zlib-stream.
//
// This package does no I/O, starts no goroutines and reads no clock. A Stream is
// for one goroutine.
package downstream

import (
	"errors"
	"slices"

	"github.com/gatewayqueue/gatewayqueue/internal/stored"
)

// Compression is what the URL of a connection asks for with compress.
type Compression string

// What Discord has.
const (
	None       Compression = ""
	ZlibStream Compression = "zlib-stream"
	ZstdStream Compression = "zstd-stream"
)

// WebSocket's opcodes of messages (RFC 6455, 11.8).
const (
	opText   = 1
	opBinary = 2
)

// reach is how many bytes back deflate can refer (RFC 1951, 2). A window that a
// stream's header declares smaller changes nothing.
const reach = 32 << 10

const (
	// MaxReady is how long a READY may be whose URL is changed, compressed or not:
	// more than twice the longest known of (6 MB). A longer one passes unchanged,
	// and its client resumes past the proxy.
	MaxReady = 16 << 20

	// maxOwn is how long a payload may be where its bytes must be made here: what
	// is longer ends the connection, since that much memory is not meant to be
	// taken.
	maxOwn = 4 * MaxReady
)

var (
	errUnread   = errors.New("downstream: the stream has passed unread since READY or RESUMED, and nothing can be put into it")
	errTooLarge = errors.New("downstream: a payload that is too long")
)

// Stream is what one client receives, of one upstream after another.
type Stream struct {
	client  Compression
	format  format
	rewrite func(url string) string
	reach   int // the constant, but for the test that shows why it is this

	begun   bool // the stream's header has gone to the client
	window  byte // what the header says of the window (CINFO): later bytes may not need more
	settled bool // READY or RESUMED has come since the last Identified or Join
	joined  bool // the upstream's HELLO is still to come, and is not for the client
	unread  bool // the bytes pass, and the inflater is gone

	in     *inflater // of an upstream's stream; nil without compression
	sent   int       // bytes of text that the upstream has sent
	common int       // of these so many, from the end, are the last that the client has received
	narrow bool      // the upstream's window is larger than the client was told: its bytes never fit

	out []byte // the message that was made last
}

// New starts a connection whose payloads are ETF, or else JSON, and whose client
// asked for a compression. rewrite returns the URL that the client is to get
// instead of Discord's resume_gateway_url, or the same.
func New(etf bool, client Compression, rewrite func(url string) string) *Stream {
	s := &Stream{client: client, format: jsonFormat{}, rewrite: rewrite, reach: reach}
	if etf {
		s.format = etfFormat{}
	}
	if client != None {
		s.in = newInflater()
	}
	return s
}

// Upstream is what the upstream's URL must ask for.
func (s *Stream) Upstream() Compression {
	if s.client == ZstdStream {
		return ZlibStream
	}
	return s.client
}

// Passing reports whether, from the next message on, the upstream's bytes go to
// the client as they are, with no need to give them to Message. It becomes true in
// Message and in PassUnread. Identified ends it if CanRead, and Join always does.
func (s *Stream) Passing() bool {
	return s.unread || s.client == None && s.settled
}

// CanRead reports whether a READY that comes next could be changed. If not, the
// stream has passed unread, and an IDENTIFY must go to another upstream: see Join.
func (s *Stream) CanRead() bool { return !s.unread }

// Identified says that an IDENTIFY has left on the upstream: a READY will come.
func (s *Stream) Identified() { s.settled = false }

// Join says that the next message is another upstream's first, which is asked for
// the same compression. Its HELLO is not for the client. The message before must
// have been whole: where the stream was passing, it must have ended with a flush
// (00 00 ff ff) if it was compressed.
func (s *Stream) Join() {
	s.joined, s.settled, s.unread, s.narrow = true, false, false, false
	s.sent, s.common = 0, 0
	if s.client != None {
		s.in = newInflater()
	}
}

// Inject makes a message of a payload of the proxy's own. The bytes are good until
// the next call. An error says that the stream has passed unread.
func (s *Stream) Inject(payload []byte) (op byte, out []byte, err error) {
	if s.client == None {
		return s.format.opcode(), payload, nil
	}
	if s.unread {
		return 0, nil, errUnread
	}
	s.common = 0
	return opBinary, s.own(payload), nil
}

// PassUnread is called instead of Message where the next message is longer than
// MaxReady: it, and what follows, then passes. Where that cannot be, because the
// client's stream is made here, there is an error, and the connection must end.
func (s *Stream) PassUnread() error {
	switch {
	case s.client == None:
		s.settled, s.joined = true, false
	case s.unread:
	case !s.fits() || s.joined || s.in.pending() || s.begun && s.in.fresh:
		return errTooLarge
	default:
		s.begun = true
		s.pass()
	}
	return nil
}

// pass lets all that follows pass unread.
func (s *Stream) pass() {
	s.unread, s.settled, s.in, s.out = true, true, nil, nil
}

// fits reports whether the upstream's own bytes mean the same to the client: what
// they can refer to has come to it, too.
func (s *Stream) fits() bool {
	return s.client == ZlibStream && !s.narrow && s.common >= min(s.sent, s.reach)
}

// own makes a message of text for a client whose stream is made here.
func (s *Stream) own(text []byte) []byte {
	const overhead = 5 // of a block of 64 KiB, the most there is
	b := slices.Grow(s.out[:0], len(text)+overhead*(len(text)>>15+3))
	if s.client == ZstdStream {
		if !s.begun {
			b = stored.AppendZstdHeader(b)
		}
		b = stored.AppendZstd(b, text)
	} else {
		if !s.begun {
			b = stored.AppendZlibHeader(b)
			s.window = maxWindow
		}
		b = stored.AppendDeflate(b, text)
	}
	s.begun = true
	s.out = kept(b)
	return b
}
