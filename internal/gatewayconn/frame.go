// What a WebSocket client sends, frame by frame.
// https://www.rfc-editor.org/rfc/rfc6455#section-5.2

package gatewayconn

import (
	"encoding/json"
	"math"

	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

const (
	opIdentify = 2
	opResume   = 6
)

// message is as much as matters of what a client sends to the gateway.
type message struct {
	Op   int             `json:"op"`
	Data json.RawMessage `json:"d"`

	closes bool // it is a close frame
}

// shard is the ID of the shard that an IDENTIFY is for; without one it is the
// only one.
func (m message) shard() int {
	var d struct {
		Shard [2]int `json:"shard"`
	}
	_ = json.Unmarshal(m.Data, &d) //nolint:errcheck // Discord closes the connection for it: whose slot it is does not matter.
	return d.Shard[0]
}

// reader finds the messages in a stream of masked frames.
type reader struct {
	raw    []byte // written and not passed on yet
	parsed int    // of raw, whole frames
	text   []byte // of the message that raw begins with, unmasked
}

func (r *reader) add(p []byte) { r.raw = append(r.raw, p...) }

// next returns the next message that is there as a whole, and all bytes up to
// its end; no bytes if none is complete. A control frame is an empty message.
func (r *reader) next() (message, []byte, error) {
	for {
		f, ok := parseFrame(r.raw[r.parsed:])
		if !ok {
			return message{}, nil, nil
		}
		if f.compressed {
			return message{}, nil, ErrCompressed
		}
		r.parsed += f.length
		if f.control && len(r.text) > 0 {
			continue // in the midst of a message: it goes with it
		}
		if !f.control {
			r.text = append(r.text, f.payload...)
		}
		if !f.final {
			continue
		}
		m := message{closes: f.closes}
		// What is no JSON is no IDENTIFY of a library that speaks JSON.
		if json.Unmarshal(r.text, &m) != nil {
			m = message{closes: f.closes}
		}
		raw := r.raw[:r.parsed]
		r.raw, r.parsed, r.text = r.raw[r.parsed:], 0, nil
		if len(r.raw) == 0 {
			r.raw = nil
		}
		return m, raw, nil
	}
}

type frame struct {
	final, control, compressed bool
	closes                     bool   // a close frame
	payload                    []byte // unmasked
	length                     int    // of the whole frame
}

// parseFrame reads the frame that p begins with, if all of it is there.
func parseFrame(p []byte) (frame, bool) {
	h, ok := wsframe.Parse(p)
	if !ok || h.Payload > math.MaxInt32 || len(p)-h.Size < int(h.Payload) {
		return frame{}, false
	}
	const compressed = 0x04 // the first of the reserved bits: permessage-deflate's
	f := frame{
		final: h.Final, compressed: h.Reserved&compressed != 0, control: h.Control(), closes: h.Opcode == wsframe.Close,
		length: h.Size + int(h.Payload),
	}
	f.payload = append([]byte{}, p[h.Size:f.length]...)
	if h.Masked {
		wsframe.Unmask(h.Mask, 0, f.payload)
	}
	return f, true
}
