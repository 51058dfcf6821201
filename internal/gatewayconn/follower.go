// What a gateway sends, frame by frame, as far as it matters here.

package gatewayconn

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"io"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

const (
	opReconnect      = 7
	opInvalidSession = 9
	opHello          = 10
)

// shortMessage is up to how many bytes a message is looked at. Those without an
// event in them (reconnect, invalid session, HELLO, heartbeats) are shorter.
const shortMessage = 512

// inMessage is as much as matters of one message or close frame.
type inMessage struct {
	closed   bool
	code     int // of the close frame; 1005 if it has none
	op       int
	interval time.Duration // of HELLO
}

// follower follows the frames of a server in whatever pieces they come. It keeps
// no more of them than a short message.
type follower struct {
	upgraded bool
	response []byte // the end of the HTTP response so far
	header   []byte // of a frame that is not whole yet
	left     uint64 // bytes of the frame's payload still to come
	inFrame  bool
	final    bool
	opcode   byte   // of the frame
	binary   bool   // of the message
	control  []byte // payload of a control frame
	text     []byte // payload of the message, up to one byte more than short
}

// add reads p and calls found for every close frame and every short message.
func (f *follower) add(p []byte, found func(inMessage)) {
	if !f.upgraded {
		const end = "\r\n\r\n"
		before := len(f.response)
		f.response = append(f.response, p...)
		i := bytes.Index(f.response, []byte(end))
		if i < 0 {
			f.response = bytes.Clone(f.response[max(0, len(f.response)-len(end)+1):])
			return
		}
		f.upgraded, f.response = true, nil
		p = p[i+len(end)-before:]
	}
	for len(p) > 0 {
		if !f.inFrame {
			p = f.addHeader(p)
			if !f.inFrame {
				return
			}
		}
		n := int(min(f.left, uint64(len(p))))
		f.addPayload(p[:n])
		p, f.left = p[n:], f.left-uint64(n)
		if f.left == 0 {
			f.inFrame = false
			f.endFrame(found)
		}
	}
}

// addHeader takes the next frame's header from p, and returns what is left.
func (f *follower) addHeader(p []byte) []byte {
	for len(p) > 0 {
		f.header = append(f.header, p[0])
		p = p[1:]
		h, ok := wsframe.Parse(f.header)
		if !ok {
			continue
		}
		f.final, f.opcode, f.left, f.inFrame = h.Final, h.Opcode, h.Payload, true
		f.header, f.control = f.header[:0], f.control[:0]
		if f.opcode == wsframe.Text || f.opcode == wsframe.Binary {
			f.binary, f.text = f.opcode == wsframe.Binary, f.text[:0]
		}
		return p
	}
	return nil
}

func (f *follower) addPayload(p []byte) {
	into := &f.text
	if f.opcode&0x08 != 0 {
		into = &f.control
	}
	*into = append(*into, p[:min(len(p), shortMessage+1-min(len(*into), shortMessage+1))]...)
}

func (f *follower) endFrame(found func(inMessage)) {
	switch {
	case f.opcode == wsframe.Close:
		found(inMessage{closed: true, code: wsframe.CloseCode(f.control)})
	case f.opcode&0x08 != 0 || !f.final:
	case len(f.text) > 0 && len(f.text) <= shortMessage:
		if m, ok := parseIn(f.text, f.binary); ok {
			found(m)
		}
	}
}

// parseIn reads one message. What is compressed as a whole (IDENTIFY's compress)
// is read as well; a compressed stream is not.
func parseIn(text []byte, compressed bool) (inMessage, bool) {
	if compressed {
		z, err := zlib.NewReader(bytes.NewReader(text))
		if err != nil {
			return inMessage{}, false
		}
		if text, err = io.ReadAll(io.LimitReader(z, 8*shortMessage)); err != nil {
			return inMessage{}, false
		}
	}
	var m struct {
		Op   *int            `json:"op"`
		Data json.RawMessage `json:"d"`
	}
	if json.Unmarshal(text, &m) != nil || m.Op == nil {
		return inMessage{}, false
	}
	in := inMessage{op: *m.Op}
	if in.op == opHello {
		var hello struct {
			Interval int64 `json:"heartbeat_interval"`
		}
		if json.Unmarshal(m.Data, &hello) == nil {
			in.interval = time.Duration(hello.Interval) * time.Millisecond
		}
	}
	return in, true
}
