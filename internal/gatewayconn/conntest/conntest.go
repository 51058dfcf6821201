// Package conntest is the gateway's end of one connection: bare, so that it can
// break it in every way.
package conntest

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What both ends say.
const (
	upgrade        = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	upgraded       = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
	Hello          = `{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250}}`
	Reconnect      = `{"t":null,"s":null,"op":7,"d":null}`
	InvalidSession = `{"t":null,"s":null,"op":9,"d":false}`
	IdentifyText   = `{"op":2,"d":{"token":"t","shard":[0,2]}}`
	ResumeText     = `{"op":6,"d":{"token":"t","session_id":"s","seq":1}}`
)

// ServerFrame is one frame as a server writes it.
func ServerFrame(first byte, payload string) []byte {
	return append([]byte{first, byte(len(payload))}, payload...)
}

// ClientFrame is one frame as a client writes it.
func ClientFrame(first byte, payload string) []byte {
	return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

// CloseFrame is a server's close frame.
func CloseFrame(code uint16) []byte {
	return ServerFrame(0x88, string(binary.BigEndian.AppendUint16(nil, code))+"bye")
}

// End is the gateway's end of one connection: bare, so that it can break
// it in every way.
type End struct {
	t *testing.T
	*net.TCPConn
}

// Send writes bytes.
func (g End) Send(p []byte) {
	_, err := g.Write(p)
	assert.NoError(g.t, err)
}

// SeesIdentify reports whether an IDENTIFY came before the end.
func (g End) SeesIdentify() bool {
	_ = g.SetReadDeadline(time.Now().Add(time.Second))
	all, _ := io.ReadAll(g)
	return bytes.Contains(all, []byte(`"op":2`))
}

// Pair connects what dial returns to an End, up to HELLO. What is in opening
// comes in the same packet.
func Pair(t *testing.T, dial func(ctx context.Context, network, addr string) (net.Conn, error), opening ...[]byte) (net.Conn, End) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	ours, err := dial(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = ours.Close() })
	accepted, err := listener.Accept()
	require.NoError(t, err)
	theirs := End{t, accepted.(*net.TCPConn)}
	t.Cleanup(func() { _ = theirs.Close() })

	_, err = ours.Write([]byte(upgrade))
	require.NoError(t, err)
	_, err = io.ReadFull(theirs, make([]byte, len(upgrade)))
	require.NoError(t, err)
	first := append([]byte(upgraded), ServerFrame(0x81, Hello)...)
	for _, more := range opening {
		first = append(first, more...)
	}
	theirs.Send(first)
	_, err = io.ReadFull(ours, make([]byte, len(first)))
	require.NoError(t, err)
	return ours, theirs
}

// Death is a way in which a connection ends.
type Death struct {
	Name string
	Die  func(ours net.Conn, theirs End)
	// Unread says that the end is known before anybody has read up to it.
	Unread bool
	// Held says that it is an end only while an IDENTIFY is held.
	Held bool
	// Reader says whether it takes a library that reads meanwhile, or one that
	// does not; 0 is either.
	Reader int
}

// Deaths are the ways in which a connection ends.
var Deaths = []Death{
	{Name: "FIN", Unread: true, Die: func(_ net.Conn, g End) { _ = g.Close() }},
	{Name: "RST", Unread: true, Die: func(_ net.Conn, g End) { _ = g.SetLinger(0); _ = g.Close() }},
	{Name: "half-close", Unread: true, Die: func(_ net.Conn, g End) { _ = g.CloseWrite() }},
	{Name: "closed by the library", Unread: true, Die: func(c net.Conn, _ End) { _ = c.Close() }},
	{Name: "close frame 4000", Die: func(_ net.Conn, g End) { g.Send(CloseFrame(4000)) }},
	{Name: "close frame 4009 in two parts", Die: func(_ net.Conn, g End) { f := CloseFrame(4009); g.Send(f[:3]); g.Send(f[3:]) }},
	{Name: "close frame without a code", Die: func(_ net.Conn, g End) { g.Send(ServerFrame(0x88, "")) }},
	{Name: "op 7", Die: func(_ net.Conn, g End) { g.Send(ServerFrame(0x81, Reconnect)) }},
	{Name: "op 7 in fragments", Die: func(_ net.Conn, g End) {
		g.Send(ServerFrame(0x01, Reconnect[:9]))
		g.Send(ServerFrame(0x89, "ping"))
		g.Send(ServerFrame(0x80, Reconnect[9:]))
	}},
	{Name: "op 7 compressed", Die: func(_ net.Conn, g End) {
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		_, _ = w.Write([]byte(Reconnect))
		_ = w.Close()
		g.Send(ServerFrame(0x82, z.String()))
	}},
	{Name: "op 7 after a long event", Die: func(_ net.Conn, g End) {
		g.Send(append([]byte{0x81, 126, 0x40, 0}, make([]byte, 0x4000)...))
		g.Send(ServerFrame(0x81, Reconnect))
	}},
	{Name: "op 9", Held: true, Die: func(_ net.Conn, g End) { g.Send(ServerFrame(0x81, InvalidSession)) }},
	{Name: "more than is read ahead", Held: true, Reader: Without, Die: func(_ net.Conn, g End) {
		_ = g.SetWriteDeadline(time.Now().Add(2 * time.Second))
		_, _ = g.Write(make([]byte, 8<<20))
	}},
	{Name: "the library's deadline", Reader: With, Die: func(c net.Conn, _ End) { _ = c.SetReadDeadline(time.Now()); _, _ = c.Read(make([]byte, 1)) }},
}

// The values of [Death.Reader].
const (
	With = iota + 1
	Without
)
