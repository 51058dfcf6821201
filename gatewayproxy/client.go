// What a bot sends: masked frames, read strictly and kept as they are.

package gatewayproxy

import (
	"bufio"
	"errors"
	"io"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/payload"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

// mostMessage bounds what a bot may send in one message, in bytes of its frames.
// Discord closes for more than 4,096 bytes of text, and says so itself up to here.
const mostMessage = 64 << 10

// clientSize is what is read of a bot at once: a heartbeat has 40 bytes, and what is
// longer than this is read where it is kept.
const clientSize = 512

// clientMessage is a whole message, or a control frame.
type clientMessage struct {
	opcode byte   // of its first frame
	frames []byte // as they came
	text   []byte // what they carry, without their masks
}

func (m clientMessage) control() bool { return m.opcode&0x08 != 0 }

// clientReader reads a bot's messages.
type clientReader struct {
	in     *bufio.Reader
	opcode byte // of the message that has begun
	frames []byte
	text   []byte
}

// breach is what RFC 6455 has a server close a connection for.
func breach(reason string) error { return &payload.Refusal{Code: 1002, Reason: reason} }

// next returns the next message. A control frame comes at once, also from among
// the frames of a message. The error is a [payload.Refusal] where what came is not
// as it must be.
func (r *clientReader) next() (clientMessage, error) {
	for {
		h, err := r.header()
		if err != nil {
			return clientMessage{}, err
		}
		switch {
		case h.Reserved != 0:
			return clientMessage{}, breach("the message is compressed, or uses another extension: none was agreed on")
		case !h.Sound():
			return clientMessage{}, breach("a frame that RFC 6455 does not allow")
		case !h.Masked:
			return clientMessage{}, breach("a frame without a mask: a client's frames have one")
		case !h.Control() && (h.Opcode == wsframe.Continuation) != (len(r.frames) > 0):
			return clientMessage{}, breach("the frames of a message are out of order")
		case h.Payload+uint64(len(r.frames)) > mostMessage:
			return clientMessage{}, &payload.Refusal{Code: 4002, Reason: "a message of more than 64 KiB: Discord takes up to 4096 bytes"}
		}
		raw := make([]byte, h.Size+int(h.Payload))
		if _, err := io.ReadFull(r.in, raw); err != nil {
			return clientMessage{}, cutShort(err)
		}
		text := append([]byte(nil), raw[h.Size:]...)
		wsframe.Unmask(h.Mask, 0, text)
		if h.Control() {
			return clientMessage{h.Opcode, raw, text}, nil
		}
		if h.Opcode != wsframe.Continuation {
			r.opcode = h.Opcode
		}
		if len(r.frames) == 0 {
			r.frames, r.text = raw, text
		} else {
			r.frames, r.text = append(r.frames, raw...), append(r.text, text...)
		}
		if h.Final {
			m := clientMessage{r.opcode, r.frames, r.text}
			r.frames, r.text = nil, nil
			return m, nil
		}
	}
}

// header looks at the next frame's.
func (r *clientReader) header() (wsframe.Header, error) {
	for need := 2; ; need++ {
		p, err := r.in.Peek(need)
		if err != nil {
			return wsframe.Header{}, cutShort(err)
		}
		if h, ok := wsframe.Parse(p); ok {
			return h, nil
		}
	}
}

// cutShort is an end in the midst of a frame, or between two: of either the
// connection is over.
func cutShort(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.EOF
	}
	return err
}
