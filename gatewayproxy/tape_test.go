// What Discord has sent to the proxy beside what the bot has received, and the other
// way round: equal to the byte after decoding, but for one value.

package gatewayproxy_test

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/internal/etf"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

// tape keeps what goes over one connection.
type tape struct {
	net.Conn
	mu   sync.Mutex
	down bytes.Buffer // from Discord
	up   bytes.Buffer // to Discord
}

// NetConn leads to the TCP connection below, whose state is looked at.
func (t *tape) NetConn() net.Conn { return t.Conn }

func (t *tape) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.down.Write(p[:n])
	return n, err
}

func (t *tape) Write(p []byte) (int, error) {
	n, err := t.Conn.Write(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.up.Write(p[:n])
	return n, err
}

// tapes are those of a proxy's connections to Discord, in their order.
type tapes struct {
	mu  sync.Mutex
	all []*tape
}

// option has a proxy's connections taped.
func (t *tapes) option() gatewayproxy.Option {
	return gatewayproxy.WithNetDial(func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		one := &tape{Conn: conn}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.all = append(t.all, one)
		return one, nil
	})
}

// sides are the decoded messages and control frames from Discord, and the frames to it.
func (t *tape) sides(tb testing.TB, w wire) (down []message, up []byte) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	_, frames, ok := bytes.Cut(t.down.Bytes(), []byte("\r\n\r\n"))
	require.True(tb, ok, "no answer: %q", t.down.Bytes())
	_, up, ok = bytes.Cut(t.up.Bytes(), []byte("\r\n\r\n"))
	require.True(tb, ok)
	return decoded(tb, frames, w), up
}

// wire is how payloads travel: a row of the tests' tables.
type wire struct {
	query string
	each  bool // IDENTIFY says compress: true
}

func (w wire) etf() bool    { return strings.Contains(w.query, "etf") }
func (w wire) stream() bool { return strings.Contains(w.query, "zlib-stream") }

// wires are all that need no library.
var wires = map[string]wire{
	"json": {query: "encoding=json"}, "json, compress": {query: "encoding=json", each: true}, "json, zlib-stream": {query: "encoding=json&compress=zlib-stream"},
	"etf": {query: "encoding=etf"}, "etf, zlib-stream": {query: "encoding=etf&compress=zlib-stream"},
}

// reader decodes the messages of a connection, with what is not ours.
type reader struct {
	w      wire
	stream bytes.Buffer
	zlib   io.Reader
}

// read decodes one message.
func (r *reader) read(m message) ([]byte, error) {
	switch {
	case m.opcode >= wsframe.Close:
		return m.text, nil
	case r.w.stream():
		r.stream.Write(m.text)
		if r.zlib == nil {
			var err error
			if r.zlib, err = zlib.NewReader(&r.stream); err != nil {
				return nil, err
			}
		}
		return flushed(r.zlib, &r.stream)
	case !r.w.etf() && m.opcode == wsframe.Binary:
		z, err := zlib.NewReader(bytes.NewReader(m.text))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	}
	return m.text, nil
}

// decoded is all that a stream of frames says. Control frames among those of a message
// come before it.
func decoded(tb testing.TB, frames []byte, w wire) (all []message) {
	tb.Helper()
	in := bufio.NewReader(bytes.NewReader(frames))
	r := reader{w: w}
	var m message
	for begun := false; ; {
		h, payload, err := readFrame(in)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return all
		}
		require.NoError(tb, err)
		if h.Control() {
			all = append(all, message{h.Opcode, payload})
			continue
		}
		require.Equal(tb, begun, h.Opcode == wsframe.Continuation, "frames are out of order")
		if !begun {
			m = message{opcode: h.Opcode}
		}
		m.text, begun = append(m.text, payload...), !h.Final
		if h.Final {
			m.text, err = r.read(m)
			require.NoError(tb, err)
			all = append(all, m)
		}
	}
}

// quoted is a string as the wire has it inside of a payload.
func (w wire) quoted(tb testing.TB, text string) []byte {
	tb.Helper()
	if !w.etf() {
		return []byte(`"` + text + `"`)
	}
	term, err := etf.Encode(text)
	require.NoError(tb, err)
	return term[1:]
}

// rewritten is what the bot must get of what Discord has sent: the same, but for the
// URL in READY.
func (w wire) rewritten(tb testing.TB, down []message, discords, ours string) []message {
	tb.Helper()
	all := make([]message, len(down))
	for i, m := range down {
		if m.opcode < wsframe.Close && bytes.Contains(m.text, []byte("READY")) && bytes.Contains(m.text, []byte("resume_gateway_url")) {
			m.text = bytes.Replace(m.text, w.quoted(tb, discords), w.quoted(tb, ours), 1)
		}
		all[i] = m
	}
	return all
}

// same compares what two sides have.
func same(tb testing.TB, want, got []message) {
	tb.Helper()
	for i := range min(len(want), len(got)) {
		require.Equal(tb, want[i].opcode, got[i].opcode, "kind of message %d", i)
		if !bytes.Equal(want[i].text, got[i].text) {
			at := 0
			for at < min(len(want[i].text), len(got[i].text)) && want[i].text[at] == got[i].text[at] {
				at++
			}
			show := func(p []byte) []byte { return p[max(0, at-40):min(len(p), at+80)] }
			require.FailNow(tb, "a message has changed", "message %d, %d bytes for %d, from byte %d on:\n%q\nfor\n%q", i, len(got[i].text), len(want[i].text), at, show(got[i].text), show(want[i].text))
		}
	}
	require.Len(tb, got, len(want), "messages")
}
