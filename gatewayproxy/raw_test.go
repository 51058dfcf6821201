// Both ends of a connection played frame by frame: a bot that sends what no library
// does, and a gateway that cuts what it sends at will.

package gatewayproxy_test

import (
	"bufio"
	"bytes"
	"crypto/sha1" //nolint:gosec // The protocol asks for it.
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// line is one end of a WebSocket.
type line struct {
	*testing.T
	net.Conn
	in    *bufio.Reader
	masks bool // it is the client's end

	r     reader
	got   bytes.Buffer // all that has come to a bot
	begun bool         // part has
	part  message

	sent []byte // a bot's frames as they were written
}

// upgradeRequest is a request for a WebSocket as a library sends it.
func upgradeRequest(target, host string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
}

// connect opens a connection to address and nothing more.
func connect(t *testing.T, address string) *line {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", u.Host)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return newLine(t, conn)
}

// newLine is a bot's end of a connection.
func newLine(t *testing.T, conn net.Conn) *line {
	l := &line{T: t, Conn: conn, masks: true}
	l.in = bufio.NewReader(io.TeeReader(conn, &l.got))
	return l
}

// upgrade makes a connection a WebSocket.
func (l *line) upgrade(target string) {
	l.Helper()
	_, err := io.WriteString(l.Conn, upgradeRequest(target, l.RemoteAddr().String()))
	require.NoError(l, err)
	answer, err := http.ReadResponse(l.in, nil)
	require.NoError(l, err)
	_ = answer.Body.Close()
	require.Equal(l, http.StatusSwitchingProtocols, answer.StatusCode)
}

// raw connects a bot to address.
func (s *stage) raw(address string, w wire) *line {
	s.Helper()
	u, err := url.Parse(address)
	require.NoError(s, err)
	l := connect(s.T, address)
	l.r.w = w
	l.upgrade(strings.TrimSuffix(u.Path, "/") + "/?v=10&" + w.query)
	return l
}

// frame is one as it is written: the first byte has its opcode and what else there is.
func (l *line) frame(first byte, payload []byte) []byte {
	f := wsframe.Append(nil, first&0x0f, payload)
	f[0] = first
	if !l.masks {
		return f
	}
	at := len(f) - len(payload)
	f[1] |= 0x80
	mask := [4]byte{0x37, 0xfa, 0x21, byte(len(payload))}
	f = append(append(append([]byte(nil), f[:at]...), mask[:]...), payload...)
	wsframe.Unmask(mask, 0, f[at+4:])
	return f
}

// put writes bytes as they are.
func (l *line) put(frames ...[]byte) {
	l.Helper()
	for _, p := range frames {
		if l.masks {
			l.sent = append(l.sent, p...)
		}
		_, err := l.Write(p)
		require.NoError(l, err)
	}
}

// send sends a message of one frame.
func (l *line) send(text string) { l.Helper(); l.put(l.frame(0x80|wsframe.Text, []byte(text))) }

// message is one, or a control frame.
type message struct {
	opcode byte
	text   []byte
}

// next reads a message and decodes it, or reads a control frame, which may stand
// among the frames of a message.
func (l *line) next() (message, error) {
	for {
		h, payload, err := readFrame(l.in)
		switch {
		case err != nil:
			return message{}, err
		case h.Control():
			return message{h.Opcode, payload}, nil
		case (h.Opcode == wsframe.Continuation) != l.begun:
			return message{}, errors.New("frames are out of order")
		case !l.begun:
			l.part = message{opcode: h.Opcode}
		}
		l.part.text, l.begun = append(l.part.text, payload...), !h.Final
		if h.Final {
			m := l.part
			if l.masks {
				m.text, err = l.r.read(m)
			}
			return m, err
		}
	}
}

// readFrame reads one frame.
func readFrame(in *bufio.Reader) (wsframe.Header, []byte, error) {
	for need := 2; ; need++ {
		p, err := in.Peek(need)
		if err != nil {
			return wsframe.Header{}, nil, err
		}
		h, ok := wsframe.Parse(p)
		if !ok {
			continue
		}
		if !h.Sound() || h.Payload > 1<<30 {
			return h, nil, fmt.Errorf("an unsound frame: %+v", h)
		}
		_, _ = in.Discard(h.Size)
		payload := make([]byte, h.Payload)
		if _, err := io.ReadFull(in, payload); err != nil {
			return h, nil, err
		}
		if h.Masked {
			wsframe.Unmask(h.Mask, 0, payload)
		}
		return h, payload, nil
	}
}

// wantText reads a message that has a text in it, and skips others.
func (l *line) wantText(text string) []byte {
	l.Helper()
	for {
		m, err := l.next()
		require.NoError(l, err, "waiting for %s", text)
		if m.opcode < wsframe.Close && bytes.Contains(m.text, []byte(text)) {
			return m.text
		}
		require.NotEqual(l, byte(wsframe.Close), m.opcode, "closed, waiting for %s: %q", text, m.text)
	}
}

// closes reads up to a close frame, and returns its code; 1006 if the connection ends without one.
func (l *line) closes() int {
	l.Helper()
	for {
		m, err := l.next()
		if err != nil {
			var timeout net.Error
			require.False(l, errors.As(err, &timeout) && timeout.Timeout(), "it is not closed")
			return 1006
		}
		if m.opcode == wsframe.Close {
			_ = l.Close() // nobody waits for its answer
			return wsframe.CloseCode(m.text)
		}
	}
}

// reset ends the connection without a FIN.
func (l *line) reset() {
	l.Helper()
	require.NoError(l, l.Conn.(interface{ SetLinger(sec int) error }).SetLinger(0))
	require.NoError(l, l.Close())
}

// fakeGateway is a gateway whose connections the test plays.
type fakeGateway struct {
	*testing.T
	listener net.Listener
	url      string
	lines    chan *line // connections that were opened
}

func newGateway(t *testing.T) *fakeGateway {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	g := &fakeGateway{T: t, listener: listener, url: "ws://" + listener.Addr().String(), lines: make(chan *line, 1000)}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = conn.Close() })
			_ = conn.SetDeadline(time.Now().Add(4 * patience))
			l := &line{T: t, Conn: conn, in: bufio.NewReader(conn)}
			req, err := http.ReadRequest(l.in)
			if err != nil {
				continue
			}
			sum := sha1.Sum([]byte(req.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // As above.
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
				"Sec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(sum[:])+"\r\n\r\n")
			g.lines <- l
		}
	}()
	return g
}

// accepts returns the next connection.
func (g *fakeGateway) accepts() *line {
	g.Helper()
	select {
	case l := <-g.lines:
		return l
	case <-time.After(patience):
		require.FailNow(g, "no connection comes")
		return nil
	}
}

const hello = `{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250}}`

// readyOf is a READY of a gateway, with so much in it.
func readyOf(url, filler string) string {
	return fmt.Sprintf(`{"t":"READY","s":1,"op":0,"d":{"v":10,"filler":%q,"session_id":"one","resume_gateway_url":%q,"shard":[0,1]}}`, filler, url)
}
