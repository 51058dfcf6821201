// Package wsframe reads and makes the headers of WebSocket frames.
// https://www.rfc-editor.org/rfc/rfc6455#section-5.2
package wsframe

import (
	"encoding/binary"
	"math"
)

// Opcodes of frames. Those from Close on are of control frames, which may stand
// between the frames of a message, are whole, and carry up to [MostControl] bytes.
const (
	Continuation = 0
	Text         = 1
	Binary       = 2
	Close        = 8
	Ping         = 9
	Pong         = 10
)

// MostControl is how many bytes a control frame may carry.
const MostControl = 125

// Header is what stands before a frame's payload.
type Header struct {
	Final    bool // the last frame of its message
	Reserved byte // the three bits that only extensions use; no extension is ever agreed on here
	Opcode   byte
	Masked   bool // clients' are, servers' are not
	Mask     [4]byte
	Payload  uint64 // bytes that follow; more than math.MaxInt64 is no length
	Size     int    // bytes of the header itself
}

// Control says that it is a control frame.
func (h Header) Control() bool { return h.Opcode&0x08 != 0 }

// Known says that the opcode is one of the protocol's.
func (h Header) Known() bool { return h.Opcode <= Binary || h.Opcode >= Close && h.Opcode <= Pong }

// Sound says that no receiver may refuse the header: see [Header.Known], no reserved
// bit, a length that is one, and a control frame that is whole and short.
func (h Header) Sound() bool {
	return h.Known() && h.Reserved == 0 && h.Payload <= math.MaxInt64 && (!h.Control() || h.Final && h.Payload <= MostControl)
}

// Parse reads the header that p begins with; !ok if not all of it is there.
func Parse(p []byte) (h Header, ok bool) {
	if len(p) < 2 {
		return h, false
	}
	h.Final, h.Reserved, h.Opcode = p[0]&0x80 != 0, p[0]>>4&0x07, p[0]&0x0f
	h.Masked = p[1]&0x80 != 0
	h.Payload, h.Size = uint64(p[1]&0x7f), 2
	switch h.Payload {
	case 126:
		h.Size = 4
	case 127:
		h.Size = 10
	}
	at := h.Size
	if h.Masked {
		h.Size += len(h.Mask)
	}
	if len(p) < h.Size {
		return h, false
	}
	switch at {
	case 4:
		h.Payload = uint64(binary.BigEndian.Uint16(p[2:]))
	case 10:
		h.Payload = binary.BigEndian.Uint64(p[2:])
	}
	if h.Masked {
		copy(h.Mask[:], p[at:])
	}
	return h, true
}

// Append appends a whole frame as servers send it, which is not masked.
func Append(to []byte, opcode byte, payload []byte) []byte {
	return append(appendHeader(to, opcode, len(payload), 0), payload...)
}

// AppendMasked appends a whole frame as clients send it. The mask is zero: it is to
// confuse caches between the two, of which nobody who uses this need be afraid.
func AppendMasked(to []byte, opcode byte, payload []byte) []byte {
	return append(append(appendHeader(to, opcode, len(payload), 0x80), 0, 0, 0, 0), payload...)
}

func appendHeader(to []byte, opcode byte, size int, masked byte) []byte {
	to = append(to, 0x80|opcode)
	switch {
	case size < 126:
		return append(to, masked|byte(size))
	case size <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(to, masked|126), uint16(size))
	default:
		return binary.BigEndian.AppendUint64(append(to, masked|127), uint64(size))
	}
}

// Unmask undoes the mask of a payload's bytes, of which p[0] is number at.
func Unmask(mask [4]byte, at int, p []byte) {
	for i := range p {
		p[i] ^= mask[(at+i)&3]
	}
}

// CloseCode is the code in the payload of a close frame; 1005 where it has none.
func CloseCode(payload []byte) int {
	if len(payload) < 2 {
		return 1005
	}
	return int(binary.BigEndian.Uint16(payload))
}

// ClosePayload is the payload of a close frame. Of the reason as much goes in as may.
func ClosePayload(code int, reason string) []byte {
	p := binary.BigEndian.AppendUint16(nil, uint16(code))
	return append(p, reason[:min(len(reason), MostControl-len(p))]...)
}
