// How payloads travel: what the query of a connection's URL and its IDENTIFY
// ask for. Everything between a payload and a WebSocket message is here.
// https://discord.com/developers/docs/events/gateway#encoding-and-compression

package gatewaytest

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// compressedSize is how many bytes a payload must have to be compressed by
// itself, where IDENTIFY asks for that (compress: true). READY always is.
// Discord's documentation says only that not every payload is compressed.
const compressedSize = 1024

// streamLevel is how hard zlib-stream is compressed: the fastest level but one,
// which takes 0.8 MB for a connection where the fastest takes 1.2.
const streamLevel = 2

// Compressor is a stream of compressed bytes, such as zlib.Writer and
// zstd.Encoder are. A Flush writes out all that was written before, so that the
// other side can read it, and goes on with the same history. Close frees what
// the stream holds.
type Compressor interface {
	io.Writer
	Flush() error
	Close() error
}

// transport is one connection's. Its writing goroutine alone uses it.
type transport struct {
	refused  string     // why the connection must be closed (4002), or empty
	etf      bool       // else JSON
	payloads bool       // IDENTIFY asked for compress: true
	stream   Compressor // into out, for the whole connection; nil without one
	out      bytes.Buffer
}

var errNoZstd = errors.New("gatewaytest: this server has no zstd-stream: give it WithZstd(zstdstream.New) of package gatewaytest/zstdstream, or ask for zlib-stream or no compression")

// newTransport reads a connection's query. What Discord closes the connection
// for, once that is open, is in the transport; an error is not one of Discord's.
func (s *Server) newTransport(query url.Values) (*transport, error) {
	t := &transport{}
	switch encoding := query.Get("encoding"); encoding {
	case "", "json":
	case "etf":
		t.etf = true
	default:
		t.refused = fmt.Sprintf("encoding=%s: want json or etf", encoding)
	}
	switch compress := query.Get("compress"); compress {
	case "":
	case "zlib-stream":
		t.stream, _ = zlib.NewWriterLevel(&t.out, streamLevel) // It fails on no such level only.
	case "zstd-stream":
		if s.zstd == nil {
			return nil, errNoZstd
		}
		t.stream = s.zstd(&t.out)
	default:
		t.refused = fmt.Sprintf("compress=%s: want zlib-stream or zstd-stream", compress)
	}
	return t, nil
}

// close frees what the stream holds.
func (t *transport) close() {
	if t.stream != nil {
		_ = t.stream.Close() // Nobody reads what it writes.
	}
}

// compressPayloads does what IDENTIFY's compress asks for. Discord has it only
// for JSON, and not beside a stream.
func (t *transport) compressPayloads(asked bool) {
	t.payloads = asked && !t.etf && t.stream == nil
}

// encode makes a message of a payload. The bytes are good until the next call.
func (t *transport) encode(payload sent) (websocket.MessageType, []byte, error) {
	kind, data, err := t.plain(payload)
	switch {
	case err != nil:
		return 0, nil, err
	case t.stream != nil:
		t.out.Reset()
		if _, err = t.stream.Write(data); err == nil {
			err = t.stream.Flush()
		}
		return websocket.MessageBinary, t.out.Bytes(), err
	case t.payloads && (len(data) >= compressedSize || payload.T != nil && *payload.T == "READY"):
		t.out.Reset()
		w := zlib.NewWriter(&t.out) // A stream of its own.
		if _, err = w.Write(data); err == nil {
			err = w.Close()
		}
		return websocket.MessageBinary, t.out.Bytes(), err
	default:
		return kind, data, nil
	}
}

// plain makes a message of a payload that is not compressed.
func (t *transport) plain(payload sent) (websocket.MessageType, []byte, error) {
	if t.etf {
		data, err := termOf(payload)
		return websocket.MessageBinary, data, err
	}
	data, err := json.Marshal(payload)
	return websocket.MessageText, data, err
}

// decode reads a client's message, of either kind: some libraries send JSON in
// binary messages.
func (t *transport) decode(message []byte, payload *received) error {
	if t.etf {
		var err error
		if message, err = jsonOf(message); err != nil {
			return err
		}
	}
	if !utf8.Valid(message) {
		return errors.New("JSON that is not UTF-8")
	}
	return json.Unmarshal(message, payload)
}
