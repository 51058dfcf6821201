// Whole sessions, of which what the bot has is compared with what Discord has sent, and
// what Discord has with what the bot has sent.

package gatewayproxy_test

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/etf"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

// compare compares all that a bot has sent and received with the tapes of its
// connections to Discord, of which all but the first begin with a HELLO that is not
// for the bot.
func (l *line) compare(w wire, discords, ours string, tapes ...*tape) {
	l.Helper()
	_, _ = io.Copy(io.Discard, l.in)
	_, frames, _ := bytes.Cut(l.got.Bytes(), []byte("\r\n\r\n"))
	got := decoded(l, frames, w)
	var want []message
	var up []byte
	for i, t := range tapes {
		down, sent := t.sides(l, w)
		if i > 0 {
			require.Contains(l, string(down[0].text), "heartbeat_interval")
			down = down[1:]
		}
		want, up = append(want, down...), append(up, sent...)
	}
	same(l, w.rewritten(l, want, discords, ours), got)
	same(l, []message{{text: l.sent}}, []message{{text: up}})
}

func TestDifferential_Sessions(t *testing.T) {
	t.Parallel()
	for name, w := range wires {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tapes := &tapes{}
			s := newStage(t, settings{proxy: []gatewayproxy.Option{tapes.option()}, discord: []gatewaytest.Option{gatewaytest.WithGuilds(2, 60_000)}})
			discords := "ws://localhost:" + s.discord.GatewayURL()[strings.LastIndex(s.discord.GatewayURL(), ":")+1:]
			ours := s.url + "/resume/" + strings.TrimPrefix(discords, "ws://") + "/5"
			bot := s.raw(s.url, w)
			bot.wantText("heartbeat_interval")
			bot.says(w.payload(t, 1, nil))
			bot.wantText(w.op(t, 11))
			bot.says(w.identify(t, 5, 6))
			bot.wantText("READY")
			bot.wantText("GUILD_CREATE")
			bot.wantText("GUILD_CREATE")
			for range 50 {
				bot.says(w.payload(t, 3, map[bool]any{true: etf.Map{{Key: "status", Value: "online"}}, false: `{"status":"online"}`}[w.etf()]))
			}
			bot.put(bot.frame(0x89, []byte("are you there")), bot.frame(0x8a, nil))
			s.discord.RequestHeartbeats()
			bot.wantText(w.op(t, 1))
			bot.says(w.payload(t, 1, 3))
			s.discord.Reconnect()
			bot.wantText(w.op(t, 7))
			bot.put(bot.frame(0x88, wsframe.ClosePayload(4900, "as told")))
			bot.compare(w, discords, ours, tapes.all[0])

			id := s.discord.Sessions()[0].ID
			again := s.raw(ours, w)
			again.wantText("heartbeat_interval")
			again.says(w.resume(t, id, 2)) // one event was missed
			again.wantText("GUILD_CREATE")
			again.wantText("RESUMED")
			s.discord.Invalidate(false)
			again.wantText(w.op(t, 9))
			again.says(w.identify(t, 5, 6))
			again.wantText("READY")
			again.wantText("GUILD_CREATE")
			again.wantText("GUILD_CREATE")
			again.put(again.frame(0x88, wsframe.ClosePayload(1000, "")))
			again.compare(w, discords, ours, tapes.all[1:]...)
			s.judged(2)
			require.Equal(t, 1, s.discord.Resumes())
			eventually(t, func() bool { return len(s.discord.Sessions()) == 0 }, "1000 to end the session")
			stats := s.proxy.Stats()
			require.Equal(t, [3]int{2, 2, 0}, [3]int{stats.Readies, stats.Rewritten, stats.Unrewritten})
		})
	}
}

// boundaries are sizes at which frames and buffers change.
var boundaries = []int{0, 1, 2, 95, 96, 97, 125, 126, 127, 4080, 4081, 4082, 4094, 4095, 4096, 4097, 8192, 32753, 32754, 32755, 32764, 32767, 32768, 32769, 65534, 65535, 65536, 65537, 100_000}

// author writes what a gateway sends, cut at will.
type author struct {
	*rand.Rand
	*testing.T
	w      wire
	stream bytes.Buffer
	zlib   *zlib.Writer
}

// start gives an author a seed.
func (a *author) start(seed uint64) *author {
	a.Rand = rand.New(rand.NewPCG(seed, 3))
	return a
}

func (a *author) size() int {
	if a.IntN(3) == 0 {
		return a.IntN(3000)
	}
	return max(0, boundaries[a.IntN(len(boundaries))]-a.IntN(2)*60)
}

// text is so many bytes that a stream can refer to, or cannot.
func (a *author) text(size int) string {
	var b strings.Builder
	for b.Len() < size {
		if a.IntN(2) == 0 {
			fmt.Fprintf(&b, "%x", a.Uint64())
		} else {
			b.WriteString("resume_gateway_url wss://gateway.discord.gg ")
		}
	}
	return b.String()[:size]
}

// payload is one of Discord's.
func (a *author) payload(op int, d map[string]any, event string) []byte {
	if a.w.etf() {
		var dict etf.Map
		for _, name := range []string{"heartbeat_interval", "a", "resume_gateway_url", "b"} {
			if v, ok := d[name]; ok {
				dict = append(dict, etf.Pair{Key: name, Value: v})
			}
		}
		if dict == nil {
			return sentTerm(a.T, op, false, event)
		}
		return sentTerm(a.T, op, dict, event)
	}
	body := any(d)
	if d == nil {
		body = false
	}
	p, err := json.Marshal(map[string]any{"op": op, "d": body, "t": event, "s": 1})
	require.NoError(a, err)
	return p
}

// message makes one of a payload: its kind, and its bytes.
func (a *author) message(payload []byte, each bool) (byte, []byte) {
	kind := byte(wsframe.Text)
	switch {
	case a.w.stream():
		a.stream.Reset()
		if a.zlib == nil {
			a.zlib, _ = zlib.NewWriterLevel(&a.stream, 1+a.IntN(9))
		}
		_, _ = a.zlib.Write(payload)
		_ = a.zlib.Flush()
		return wsframe.Binary, a.stream.Bytes()
	case each:
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		_, _ = z.Write(payload)
		_ = z.Close()
		return wsframe.Binary, b.Bytes()
	case a.w.etf():
		kind = wsframe.Binary
	}
	return kind, payload
}

// frames are those of a message, with control frames among them.
func (a *author) frames(l *line, kind byte, text []byte) (out []byte) {
	first := kind
	for {
		n := len(text)
		if a.IntN(2) == 0 {
			n = min(n, max(0, a.size()))
		}
		if n == len(text) && a.IntN(4) > 0 || n < len(text)/40 {
			return append(out, l.frame(0x80|first, text)...)
		}
		out = append(out, l.frame(first, text[:n])...)
		first, text = wsframe.Continuation, text[n:]
		for range a.IntN(2) {
			out = append(out, l.frame(0x80|wsframe.Ping+byte(a.IntN(2)), []byte(a.text(a.IntN(126))))...)
		}
	}
}

// write writes bytes in pieces.
func (a *author) write(l *line, p []byte) {
	for len(p) > 0 {
		n := min(len(p), 1+a.size())
		if _, err := l.Write(p[:n]); err != nil {
			return
		}
		if p = p[n:]; a.IntN(8) == 0 {
			time.Sleep(time.Duration(a.IntN(500)) * time.Microsecond)
		}
	}
}

// says writes a payload.
func (a *author) says(l *line, payload []byte, each bool) {
	kind, text := a.message(payload, each)
	a.write(l, a.frames(l, kind, text))
}

// greets says HELLO.
func (a *author) greets(l *line) {
	a.says(l, a.payload(10, map[string]any{"heartbeat_interval": 41250}, ""), false)
}

// identifies tells when an IDENTIFY has come.
func identifies(l *line) <-chan struct{} {
	come := make(chan struct{})
	go func() {
		for {
			m, err := l.next()
			if err != nil {
				return
			}
			if bytes.Contains(m.text, []byte(gatewaytest.DefaultToken)) {
				close(come)
				return
			}
		}
	}()
	return come
}

// session is what the gateway does from READY to its end: op 9, or a close frame.
func (a *author) session(g *fakeGateway, l *line, code int) {
	ready := map[string]any{"a": a.text(a.size()), "b": a.text(a.size())}
	if a.IntN(8) > 0 {
		ready["resume_gateway_url"] = g.url
	}
	a.says(l, a.payload(0, ready, "READY"), a.w.each)
	for range 1 + a.IntN(25) {
		a.says(l, a.payload(0, map[string]any{"a": a.text(a.size())}, "SOME"), a.w.each && a.IntN(2) == 0)
		if a.IntN(4) == 0 {
			a.says(l, a.payload(11, nil, ""), false)
		}
	}
	if code == 0 {
		a.says(l, a.payload(9, nil, ""), false)
		return
	}
	a.write(l, l.frame(0x88, wsframe.ClosePayload(code, "that was all")))
	for {
		if _, err := l.next(); err != nil {
			return
		}
	}
}

func TestDifferential_HoweverItIsCut(t *testing.T) {
	t.Parallel()
	for name, w := range wires {
		for seed := range uint64(2) {
			t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
				t.Parallel()
				a := (&author{T: t, w: w}).start(seed)
				g, q, tapes := newGateway(t), newGate(), &tapes{}
				s := newStage(t, settings{proxy: []gatewayproxy.Option{gatewayproxy.WithGateway(g.url), tapes.option()}, queues: q.queues()})
				bot := s.raw(s.url, w)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					l := g.accepts()
					a.greets(l)
					<-identifies(l)
					a.session(g, l, 0)
					select { // IDENTIFY comes again: here, or on another connection
					case l = <-g.lines:
						a.zlib = nil
						a.greets(l)
						<-identifies(l)
					case <-identifies(l):
					}
					a.session(g, l, 4321)
				}()
				b := &author{Rand: rand.New(rand.NewPCG(seed, 4)), T: t, w: w} // of what the bot sends
				bot.wantText("heartbeat_interval")
				for again := range 2 {
					q.grant()
					kind := byte(wsframe.Text)
					if w.etf() {
						kind = wsframe.Binary
					}
					out := bot.inOrder(b.frames(bot, kind, w.identify(t, 0, 1)))
					bot.sent = append(bot.sent, out...)
					b.write(bot, out)
					bot.wantText("READY")
					for range b.IntN(60) * (1 - again) { // once Discord has closed nothing passes
						bot.says(w.payload(t, 3, b.IntN(1000)))
					}
					for {
						m, err := bot.next()
						require.NoError(t, err)
						if m.opcode == wsframe.Close || bytes.Contains(m.text, []byte(w.op(t, 9))) && !bytes.Contains(m.text, []byte("SOME")) {
							break
						}
					}
				}
				bot.put(bot.frame(0x88, wsframe.ClosePayload(4321, "")))
				<-ended
				ours := s.url + "/resume/" + strings.TrimPrefix(g.url, "ws://") + "/0"
				bot.compare(w, g.url, ours, tapes.all...)
				q.settled(t, 2, 0)
			})
		}
	}
}

// inOrder is frames with the control frames of a held message before it, as they pass.
// Then what was sent can be compared as a whole.
func (l *line) inOrder(frames []byte) []byte {
	var control, rest []byte
	for len(frames) > 0 {
		h, ok := wsframe.Parse(frames)
		require.True(l, ok)
		n := h.Size + int(h.Payload)
		if h.Control() {
			control = append(control, frames[:n]...)
		} else {
			rest = append(rest, frames[:n]...)
		}
		frames = frames[n:]
	}
	return append(control, rest...)
}

// A READY of 16 MiB is edited, and a longer one passes as it is.
func TestDifferential_LargeREADY(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size   int
		empty  bool // the first frame
		edited bool
	}{
		"of 16 MiB": {16 << 20, false, true}, "of more, behind an empty frame": {16<<20 + 1, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, g, q := behind(t)
			bot, discord := holding(s, g, q, wire{})
			q.grant()
			discord.wantText(`"op":2`)
			text := readyOf(g.url, "")
			text = strings.Replace(text, `"filler":"`, `"filler":"`+strings.Repeat("x", c.size-len(text)), 1)
			written := make(chan struct{})
			go func() {
				defer close(written)
				if c.empty {
					discord.put(discord.frame(0x01, nil), discord.frame(0x80, []byte(text)))
				} else {
					discord.put(discord.frame(0x01, []byte(text[:100_000])), discord.frame(0x80, []byte(text[100_000:])))
				}
				discord.put(discord.frame(0x81, []byte(`{"t":"NEXT","s":2,"op":0,"d":null}`)), discord.frame(0x89, []byte("ping")))
			}()
			want := text
			if c.edited {
				want = strings.Replace(text, `"`+g.url+`"`, `"`+s.url+"/resume/"+strings.TrimPrefix(g.url, "ws://")+`/0"`, 1)
			}
			got := bot.wantText("READY")
			same(t, []message{{text: []byte(want)}}, []message{{text: got}})
			require.Contains(t, string(bot.wantText("op")), "NEXT")
			m, err := bot.next()
			require.NoError(t, err)
			require.Equal(t, message{wsframe.Ping, []byte("ping")}, m)
			<-written
			bot.send(`{"op":3,"d":1}`)
			discord.wantText(`"op":3`)
		})
	}
}

// An op 9 that comes in pieces is seen all the same.
func TestDifferential_Op9InPieces(t *testing.T) {
	t.Parallel()
	op9 := []byte(`{"t":null,"s":null,"op":9,"d":false}`)
	for name, write := range map[string]func(*line){
		"in bytes": func(d *line) {
			for _, b := range d.frame(0x81, op9) {
				d.put([]byte{b})
				time.Sleep(100 * time.Microsecond)
			}
		},
		"in frames":    func(d *line) { d.put(d.frame(0x01, op9[:7]), d.frame(0x89, nil), d.frame(0x80, op9[7:])) },
		"behind much":  func(d *line) { d.put(d.frame(0x81, make([]byte, 32<<10-20)), d.frame(0x81, op9)) },
		"behind 4 KiB": func(d *line) { d.put(d.frame(0x81, make([]byte, 4<<10-20)), d.frame(0x81, op9)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, g, q := behind(t)
			bot, discord := holding(s, g, q, wire{})
			q.grant()
			discord.wantText(`"op":2`)
			discord.put(discord.frame(0x81, []byte(readyOf(g.url, ""))))
			bot.wantText("READY")
			write(discord)
			require.Equal(t, string(op9), string(bot.wantText(`"op":9`)))
			bot.send(identify(0, 1, ""))
			q.waits(t, 1)
			q.grant()
			discord.wantText(`"op":2`)
			q.settled(t, 2, 0)
		})
	}
}
