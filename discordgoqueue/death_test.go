// A connection that dies before its IDENTIFY has left: nothing is sent, and
// nothing is spent.

package discordgoqueue_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/discordgoqueue"
)

const (
	upgrade        = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
	upgraded       = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
	hello          = `{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250}}`
	reconnect      = `{"t":null,"s":null,"op":7,"d":null}`
	invalidSession = `{"t":null,"s":null,"op":9,"d":false}`
	identifyText   = `{"op":2,"d":{"token":"t","shard":[0,2]}}`
	resumeText     = `{"op":6,"d":{"token":"t","session_id":"s","seq":1}}`
)

// serverFrame is one frame as a server writes it.
func serverFrame(first byte, payload string) []byte {
	return append([]byte{first, byte(len(payload))}, payload...)
}

// clientFrame is one frame as a client writes it.
func clientFrame(first byte, payload string) []byte {
	return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

func closeFrame(code uint16) []byte {
	return serverFrame(0x88, string(binary.BigEndian.AppendUint16(nil, code))+"bye")
}

// gatewayEnd is the gateway's end of one connection: bare, so that it can break
// it in every way.
type gatewayEnd struct {
	t *testing.T
	*net.TCPConn
}

func (g gatewayEnd) write(p []byte) {
	_, err := g.Write(p)
	assert.NoError(g.t, err)
}

// sees reports whether an IDENTIFY came before the end.
func (g gatewayEnd) sees() bool {
	_ = g.SetReadDeadline(time.Now().Add(time.Second))
	all, _ := io.ReadAll(g)
	return bytes.Contains(all, []byte(`"op":2`))
}

// pair connects a gate to a gatewayEnd, up to HELLO.
func pair(t *testing.T, gate *discordgoqueue.Gate, opening ...[]byte) (net.Conn, gatewayEnd) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	ours, err := gate.DialContext(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = ours.Close() })
	accepted, err := listener.Accept()
	require.NoError(t, err)
	theirs := gatewayEnd{t, accepted.(*net.TCPConn)}
	t.Cleanup(func() { _ = theirs.Close() })

	_, err = ours.Write([]byte(upgrade))
	require.NoError(t, err)
	_, err = io.ReadFull(theirs, make([]byte, len(upgrade)))
	require.NoError(t, err)
	first := append([]byte(upgraded), serverFrame(0x81, hello)...)
	for _, more := range opening {
		first = append(first, more...)
	}
	theirs.write(first)
	_, err = io.ReadFull(ours, make([]byte, len(first)))
	require.NoError(t, err)
	return ours, theirs
}

// deaths are the ways in which a connection ends.
var deaths = map[string]func(ours net.Conn, theirs gatewayEnd){
	"FIN":                           func(_ net.Conn, g gatewayEnd) { _ = g.Close() },
	"RST":                           func(_ net.Conn, g gatewayEnd) { _ = g.SetLinger(0); _ = g.Close() },
	"half-close":                    func(_ net.Conn, g gatewayEnd) { _ = g.CloseWrite() },
	"close frame 4000":              func(_ net.Conn, g gatewayEnd) { g.write(closeFrame(4000)) },
	"close frame 4009 in two parts": func(_ net.Conn, g gatewayEnd) { f := closeFrame(4009); g.write(f[:3]); g.write(f[3:]) },
	"close frame without a code":    func(_ net.Conn, g gatewayEnd) { g.write(serverFrame(0x88, "")) },
	"op 7":                          func(_ net.Conn, g gatewayEnd) { g.write(serverFrame(0x81, reconnect)) },
	"op 7 in fragments": func(_ net.Conn, g gatewayEnd) {
		g.write(serverFrame(0x01, reconnect[:9]))
		g.write(serverFrame(0x89, "ping"))
		g.write(serverFrame(0x80, reconnect[9:]))
	},
	"op 7 after a long event": func(_ net.Conn, g gatewayEnd) {
		g.write(append([]byte{0x81, 126, 0x40, 0}, make([]byte, 0x4000)...))
		g.write(serverFrame(0x81, reconnect))
	},
	"op 9":                   func(_ net.Conn, g gatewayEnd) { g.write(serverFrame(0x81, invalidSession)) },
	"closed by the library":  func(c net.Conn, _ gatewayEnd) { _ = c.Close() },
	"the library's deadline": func(c net.Conn, _ gatewayEnd) { _ = c.SetReadDeadline(time.Now()); _, _ = c.Read(make([]byte, 1)) },
	"more than is read ahead": func(_ net.Conn, g gatewayEnd) {
		_ = g.SetWriteDeadline(time.Now().Add(2 * time.Second))
		_, _ = g.Write(make([]byte, 8<<20))
	},
}

// The window that is closed is over when the next one would be granted: who
// holds a bucket is asked for by what the others get.
func TestAHeldIdentify_LeavesTheLineWithItsConnection(t *testing.T) {
	for name, die := range deaths {
		for _, reads := range []bool{false, true} { // discordgo does not, while it writes
			if name == "the library's deadline" && !reads || name == "more than is read ahead" && reads {
				continue
			}
			name := name
			if reads {
				name += ", with a reader"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				queue := newQueue(t)
				other, err := queue.Acquire(t.Context(), 1) // the bucket is not ours
				require.NoError(t, err)
				gate := discordgoqueue.New(queue, 0)
				defer gate.Close()
				gate.Ready()
				ours, theirs := pair(t, gate)
				if reads {
					go func() { _, _ = io.Copy(io.Discard, ours) }()
				}
				held := make(chan error, 1)
				go func() {
					f := clientFrame(0x01, identifyText[:9]) // in fragments, the second with a part missing
					_, _ = ours.Write(f)
					f = clientFrame(0x80, identifyText[9:])
					_, _ = ours.Write(f[:10])
					_, err := ours.Write(f[10:])
					held <- err
				}()
				waits(t, queue, 1)
				die(ours, theirs)
				assert.Error(t, <-held)
				waits(t, queue, 0)
				assert.False(t, theirs.sees())
				require.NoError(t, other.Abandon(t.Context()))
				assert.Equal(t, 1000, remaining(t, queue), "no unit is gone")
				ctx, cancel := context.WithTimeout(t.Context(), gatewayqueue.IdentifyDelay/2)
				defer cancel()
				assert.NoError(t, queue.Wait(ctx, 1), "no window is gone")
			})
		}
	}
}

// Between the grant and the write: the permit was taken before the dial.
func TestAnIdentify_IsNotWrittenIntoADeadConnection(t *testing.T) {
	for name, die := range deaths {
		if name == "op 9" || name == "more than is read ahead" { // these say nothing before IDENTIFY
			continue
		}
		for _, reads := range []bool{false, true} {
			if isRead := name == "FIN" || name == "RST" || name == "half-close" || name == "closed by the library"; !isRead && !reads {
				continue // nobody knows yet
			}
			name := name
			if reads {
				name += ", which was read"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				queue := newQueue(t)
				gate := discordgoqueue.New(queue, 0)
				defer gate.Close()
				ours, theirs := pair(t, gate)
				die(ours, theirs)
				if reads {
					_ = ours.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
					_, _ = io.Copy(io.Discard, ours)
					require.Eventually(t, func() bool { return remaining(t, queue) == 1000 }, 10*time.Second, time.Millisecond,
						"the permit goes back without anybody's doing")
				} else {
					time.Sleep(50 * time.Millisecond)
				}
				_, err := ours.Write(clientFrame(0x81, identifyText))
				assert.Error(t, err)
				assert.False(t, theirs.sees())
				gate.Close()
				assert.Equal(t, 1000, remaining(t, queue))
			})
		}
	}
}

// One chunk brings two refusals: the library answers each, and only one can be
// worth it.
func TestAnIdentify_IsNotWrittenWhereASecondRefusalWaits(t *testing.T) {
	queue := newQueue(t)
	gate := discordgoqueue.New(queue, 0)
	defer gate.Close()
	gate.Ready()
	twice := append(serverFrame(0x81, invalidSession), serverFrame(0x81, invalidSession)...)
	ours, theirs := pair(t, gate, twice)
	_, err := ours.Write(clientFrame(0x81, identifyText))
	assert.Error(t, err)
	assert.False(t, theirs.sees())
	assert.Equal(t, 1000, remaining(t, queue))
}

func TestARefusedResume_IsAnsweredWithIdentify(t *testing.T) {
	queue := newQueue(t)
	gate := discordgoqueue.New(queue, 0)
	defer gate.Close()
	gate.Ready()
	ours, theirs := pair(t, gate)
	_, err := ours.Write(clientFrame(0x81, resumeText))
	require.NoError(t, err)
	theirs.write(serverFrame(0x81, invalidSession))
	_, err = io.ReadFull(ours, make([]byte, len(serverFrame(0x81, invalidSession))))
	require.NoError(t, err)
	_, err = ours.Write(clientFrame(0x81, identifyText))
	require.NoError(t, err)
	assert.True(t, theirs.sees())
}

// What the gateway had said before it closed the connection reaches the library.
func TestWhatWasReadAhead_IsThereAfterTheEnd(t *testing.T) {
	queue := newQueue(t)
	other, err := queue.Acquire(t.Context(), 1)
	require.NoError(t, err)
	defer func() { assert.NoError(t, other.Abandon(context.Background())) }()
	gate := discordgoqueue.New(queue, 0)
	defer gate.Close()
	gate.Ready()
	ours, theirs := pair(t, gate)
	held := make(chan error, 1)
	go func() { _, err := ours.Write(clientFrame(0x81, identifyText)); held <- err }()
	waits(t, queue, 1)
	theirs.write(closeFrame(4004))
	require.Error(t, <-held)
	got := make([]byte, len(closeFrame(4004)))
	_, err = io.ReadFull(ours, got)
	require.NoError(t, err)
	assert.Equal(t, closeFrame(4004), got)
	_, err = ours.Read(got)
	assert.Error(t, err)
}

// No packet says that the other end is gone: heartbeats are not answered.
func TestAHeldIdentify_LeavesTheLineOfASilentConnection(t *testing.T) {
	t.Parallel()
	queue := newQueue(t)
	other, err := queue.Acquire(t.Context(), 1)
	require.NoError(t, err)
	defer func() { assert.NoError(t, other.Abandon(context.Background())) }()
	gate := discordgoqueue.New(queue, 0, discordgoqueue.WithHeartbeat(100*time.Millisecond))
	defer gate.Close()
	gate.Ready()
	ours, _ := pair(t, gate)
	_, err = ours.Write(clientFrame(0x81, identifyText))
	assert.ErrorContains(t, err, "heartbeats are not answered")
	waits(t, queue, 0)
}

// waits waits until n shards wait in the queue.
func waits(t *testing.T, queue *gatewayqueue.InMemoryQueue, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		status, err := queue.Status(t.Context())
		return err == nil && status.Waiting() == n
	}, 10*time.Second, time.Millisecond)
}
