// Faults between the proxy and Discord, and readers that are slow.

package gatewayproxy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

// asks requests a connection and returns the answer.
func (s *stage) asks() *http.Response {
	s.Helper()
	l := connect(s.T, s.url)
	l.put([]byte(upgradeRequest("/?v=10", "localhost")))
	answer, err := http.ReadResponse(l.in, nil)
	require.NoError(s, err)
	s.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

// at is a stage whose Discord is at an address.
func at(t *testing.T, url string, more ...gatewayproxy.Option) *stage {
	t.Helper()
	return newStage(t, settings{proxy: append([]gatewayproxy.Option{gatewayproxy.WithGateway(url)}, more...), queues: newGate().queues()})
}

func TestDiscord_AnswersOfItsOwnPass(t *testing.T) {
	t.Parallel()
	for status, wanted := range map[int]int{429: 429, 503: 503, 500: 500, 401: 401, 200: 200, 404: 404, 302: 502, 307: 502, 304: 502, 103: 502} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			discord := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Sec-Websocket-Extensions") != "" || r.URL.RawQuery != "v=10" {
					t.Errorf("an odd request: %v %v", r.URL, r.Header)
				}
				w.Header().Set("Retry-After", "7")
				w.Header().Set("Cf-Ray", "abc")
				w.Header().Set("Location", "wss://gateway.evil.example")
				w.Header()["X-Two"] = []string{"a", "b"}
				w.WriteHeader(status)
				_, _ = io.WriteString(w, "not now")
			}))
			t.Cleanup(discord.Close)
			answer := at(t, "ws"+strings.TrimPrefix(discord.URL, "http")).asks()
			require.Equal(t, wanted, answer.StatusCode)
			body, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			if status == wanted {
				require.Equal(t, "not now", string(body))
				require.Equal(t, "7", answer.Header.Get("Retry-After"))
				require.Equal(t, "abc", answer.Header.Get("Cf-Ray"))
				require.Equal(t, []string{"a", "b"}, answer.Header["X-Two"])
			} else {
				require.Empty(t, answer.Header.Get("Location"))
			}
		})
	}
}

func TestDiscord_CannotBeReached(t *testing.T) {
	t.Parallel()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	t.Cleanup(untrusted.Close)
	plays := func(answer string) string { // a server that answers so, and closes
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				if answer != "swallow" {
					_, _ = c.Read(make([]byte, 4096))
					_, _ = io.WriteString(c, answer)
					_ = c.(*net.TCPConn).SetLinger(0)
					time.Sleep(10 * time.Millisecond)
					_ = c.Close()
				} else {
					t.Cleanup(func() { _ = c.Close() })
				}
			}
		}()
		return l.Addr().String()
	}
	for name, url := range map[string]string{
		"nobody listens": "ws://127.0.0.1:1", "TLS that nobody trusts": "wss" + strings.TrimPrefix(untrusted.URL, "https"), "no TLS": "wss://" + plays("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"an unknown name": "wss://gateway.invalid", "it hangs up": "ws://" + plays(""), "it answers half": "ws://" + plays("HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs"),
		"it answers nonsense": "ws://" + plays("SSH-2.0-OpenSSH\r\n"), "it accepts another key": "ws://" + plays("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"),
		"headers without an end":        "ws://" + plays("HTTP/1.1 101 x\r\nX-A: "+strings.Repeat("y", 1<<20)),
		"it takes all and says nothing": "ws://" + plays("swallow"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := at(t, url)
			answer := s.asks()
			require.Equal(t, http.StatusBadGateway, answer.StatusCode)
			require.Equal(t, 1, s.proxy.Stats().FailedDials)
			require.Equal(t, 1, s.proxy.Stats().Refused)
		})
	}
}

// The bot's connection ends with Discord's, and says no more than Discord has.
func TestDiscord_Ends(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]func(*line){
		"RST": (*line).reset, "FIN": func(l *line) { _ = l.Close() },
		"in the midst of a header":      func(l *line) { l.put([]byte{0x81, 126}); l.reset() },
		"in the midst of a message":     func(l *line) { l.put(l.frame(0x81, make([]byte, 70000))[:40000]); _ = l.Close() },
		"among the frames of a message": func(l *line) { l.put(l.frame(0x01, make([]byte, 70000))); _ = l.Close() },
		"with a masked frame":           func(l *line) { l.put(masked(0x81, 3, []byte("abc"))) },
		"with a compressed frame":       func(l *line) { l.put(l.frame(0xc1, []byte("abc"))) },
		"with a reserved opcode":        func(l *line) { l.put(l.frame(0x83, []byte("abc"))) },
		"with a continuation":           func(l *line) { l.put(l.frame(0x80, []byte("abc"))) },
		"with a huge length":            func(l *line) { l.put([]byte{0x81, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255}) },
		"with a long ping":              func(l *line) { l.put(l.frame(0x89, make([]byte, 126))) },
	} {
		for _, ready := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, ready %v", name, ready), func(t *testing.T) {
				t.Parallel()
				s, g, q := behind(t)
				bot, discord := started(s, g, q, ready)
				ends(discord)
				require.Equal(t, 1006, bot.closes(), "without a close frame")
				eventually(t, func() bool { return s.proxy.Stats().Connections == 0 }, "the end")
			})
		}
	}
}

// A broken zlib-stream, or a payload that grows without bound, ends the
// connection.
func TestDiscord_BadStreams(t *testing.T) {
	t.Parallel()
	a := &author{T: t, w: wire{query: "compress=zlib-stream"}}
	for name, message := range map[string]func() []byte{
		"no stream": func() []byte { return []byte("no stream at all\x00\x00\xff\xff") },
		"a stream that is broken": func() []byte {
			_, b := a.start(1).message([]byte(hello), false)
			return append(bytes.Clone(b[:len(b)-8]), 7, 7, 7, 7, 0, 0, 0xff, 0xff)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, g, q := behind(t)
			bot := s.raw(s.url, a.w)
			discord := g.accepts()
			bot.send(identify(0, 1, ""))
			q.grant()
			discord.wantText(`"op":2`)
			discord.put(discord.frame(0x82, message()))
			require.Equal(t, 1006, bot.closes())
			eventually(t, func() bool { return s.proxy.Stats().Connections == 0 }, "the end")
		})
	}
}

// A bot that does not read: Discord is slowed down, memory stays, and nothing is lost.
func TestSlowReader(t *testing.T) { // not beside others: it looks at the memory in use
	s, g, q := behind(t)
	bot, discord := started(s, g, q, true)
	const size, most = 50 << 20, 24 << 20
	filler := bytes.Repeat([]byte("0123456789abcdef"), 2000)
	count := size / len(filler)
	before := memory()
	stalled, done := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := range count {
			frame := discord.frame(0x81, append(fmt.Appendf(nil, "%08d", i), filler...))
			_ = discord.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			n, err := discord.Write(frame)
			if err != nil { // it is not read any more
				select {
				case <-stalled:
				default:
					close(stalled)
				}
				_ = discord.SetWriteDeadline(time.Now().Add(patience))
				_, err = discord.Write(frame[n:])
			}
			if err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	select {
	case <-stalled:
	case <-time.After(patience):
		require.FailNow(t, "nothing has stalled")
	}
	require.Less(t, memory()-before, int64(most), "bytes more in use")
	bot.send(`{"op":1,"d":null}`) // the other way is open
	discord.wantText(`"op":1`)
	for i := range count {
		m, err := bot.next()
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%08d", i), string(m.text[:8]))
		require.True(t, bytes.Equal(filler, m.text[8:]), "message %d", i)
		bot.got.Reset()
	}
	require.NoError(t, <-done)
	require.Less(t, memory()-before, int64(most), "bytes more in use")
}

// memory is what the heap has in use.
func memory() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A proxy that ends while a bot does not read does not wait for it for long.
func TestSlowReader_Shutdown(t *testing.T) {
	t.Parallel()
	s, g, q := behind(t)
	bot, discord := started(s, g, q, true)
	go func() {
		for {
			if _, err := discord.Write(discord.frame(0x80|wsframe.Binary, make([]byte, 1<<20))); err != nil {
				return
			}
		}
	}()
	time.Sleep(50 * time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, s.proxy.Shutdown(ctx))
	_ = bot.Close()
}
