// IDENTIFY is held however it comes, and its bytes are the bot's.

package gatewayproxy_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/etf"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

// term is a payload of a bot's in ETF.
func term(t *testing.T, op int, d any) []byte {
	t.Helper()
	b, err := etf.Encode(etf.Map{{Key: "op", Value: op}, {Key: "d", Value: d}})
	require.NoError(t, err)
	return b
}

// identifyOf is an IDENTIFY on a wire.
func (w wire) identify(t *testing.T, shard, count int) []byte {
	t.Helper()
	if w.etf() {
		return term(t, 2, etf.Map{
			{Key: "token", Value: gatewaytest.DefaultToken}, {Key: "intents", Value: 0}, {Key: "properties", Value: etf.Map{}},
			{Key: "shard", Value: []any{shard, count}},
		})
	}
	more := ""
	if w.each {
		more = `,"compress":true`
	}
	return []byte(identify(shard, count, more))
}

// resume is a RESUME on a wire.
func (w wire) resume(t *testing.T, session string, seq int64) []byte {
	t.Helper()
	if w.etf() {
		return term(t, 6, etf.Map{{Key: "token", Value: gatewaytest.DefaultToken}, {Key: "session_id", Value: session}, {Key: "seq", Value: seq}})
	}
	return []byte(resume(session, seq))
}

// payload is any other payload on a wire.
func (w wire) payload(t *testing.T, op int, d any) []byte {
	t.Helper()
	if w.etf() {
		return term(t, op, d)
	}
	return fmt.Appendf(nil, `{"op":%d,"d":%v}`, op, map[bool]any{true: "null", false: d}[d == nil])
}

// op is how an opcode of Discord's looks on a wire.
func (w wire) op(t *testing.T, op int) string {
	t.Helper()
	if !w.etf() {
		return fmt.Sprintf(`"op":%d`, op)
	}
	b, err := etf.Encode(etf.Map{{Key: etf.Atom("op"), Value: op}})
	require.NoError(t, err)
	return string(b[6:])
}

// says sends a message in the kind of frame that goes with the wire.
func (l *line) says(text []byte) {
	l.Helper()
	kind := byte(wsframe.Text)
	if l.r.w.etf() {
		kind = wsframe.Binary
	}
	l.put(l.frame(0x80|kind, text))
}

func TestIdentify_IsHeldHoweverItIsCut(t *testing.T) {
	t.Parallel()
	text := []byte(identify(0, 1, ""))
	long := []byte(identify(0, 1, `,"x":"`+strings.Repeat("y", 4096-len(identify(0, 1, `,"x":""`)))+`"`))
	require.Len(t, long, 4096)
	asTerm := wire{query: "encoding=etf"}.identify(t, 0, 1)
	ping := []byte("are you there")
	for name, cut := range map[string]func(l *line) (frames [][]byte){
		"whole":         func(l *line) [][]byte { return [][]byte{l.frame(0x81, text)} },
		"in binary":     func(l *line) [][]byte { return [][]byte{l.frame(0x82, text)} },
		"of 4096 bytes": func(l *line) [][]byte { return [][]byte{l.frame(0x81, long)} },
		"in ETF":        func(l *line) [][]byte { return [][]byte{l.frame(0x82, asTerm)} },
		"with white space": func(l *line) [][]byte {
			return [][]byte{l.frame(0x81, []byte("\r\n\t {\"op\" : 2.0 ,"+string(text[len(`{"op":2,`):])))}
		},
		"with an escape": func(l *line) [][]byte {
			return [][]byte{l.frame(0x81, []byte(`{"\u006fp":2,`+string(text[len(`{"op":2,`):])))}
		},
		"op behind d": func(l *line) [][]byte {
			return [][]byte{l.frame(0x81, []byte(`{"d":`+strings.TrimSuffix(string(text[len(`{"op":2,"d":`):]), "}")+`,"op":2}`))}
		},
		"into frames": func(l *line) [][]byte {
			return [][]byte{l.frame(0x01, text[:5]), l.frame(0x89, ping), l.frame(0x00, text[5:6]), l.frame(0x00, nil), l.frame(0x8a, nil), l.frame(0x80, text[6:])}
		},
		"into frames of a byte": func(l *line) (frames [][]byte) {
			for i := range text {
				frames = append(frames, l.frame(0x00, text[i:i+1]))
			}
			frames[0] = l.frame(0x01, text[:1])
			frames[len(frames)-1] = l.frame(0x80, text[len(text)-1:])
			return frames
		},
	} {
		for _, greeted := range []bool{true, false} { // JDA and discordeno do not wait for HELLO
			t.Run(fmt.Sprintf("%s, HELLO %v", name, greeted), func(t *testing.T) {
				t.Parallel()
				s, g, q := behind(t)
				bot := s.raw(s.url, wire{})
				discord := g.accepts()
				if greeted {
					discord.put(discord.frame(0x81, []byte(hello)))
					bot.wantText("heartbeat_interval")
				}
				var wanted []byte // the frames of IDENTIFY
				control := 0
				for _, f := range cut(bot) {
					bot.put(f)
					if h, _ := wsframe.Parse(f); h.Control() {
						control++
					} else {
						wanted = append(wanted, f...)
					}
				}
				q.waits(t, 1)
				for range control { // pass meanwhile
					m, err := discord.next()
					require.NoError(t, err)
					require.GreaterOrEqual(t, m.opcode, byte(wsframe.Ping))
				}
				discord.nothing(30 * time.Millisecond)
				q.grant()
				arrived := make([]byte, len(wanted))
				for n := 0; n < len(arrived); {
					k, err := discord.in.Read(arrived[n:])
					require.NoError(t, err)
					n += k
				}
				require.True(t, bytes.Equal(wanted, arrived), "its bytes are the bot's")
				q.settled(t, 1, 0)
			})
		}
	}
}

func TestIdentify_AfterOp9OnTheSameConnection(t *testing.T) {
	t.Parallel()
	for name, w := range wires {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, settings{discord: []gatewaytest.Option{gatewaytest.WithGuilds(1, 40_000)}})
			bot := s.raw(s.url, w)
			bot.wantText("heartbeat_interval")
			bot.says(w.resume(t, "nothing", 1))
			bot.wantText(w.op(t, 9)) // of a RESUME that is refused
			for range 3 {            // and of sessions that were ready
				bot.says(w.identify(t, 0, 1))
				bot.wantText("READY")
				bot.wantText("GUILD_CREATE") // a zlib-stream passes unread behind it
				require.Equal(t, 1, s.discord.Invalidate(false))
				bot.wantText(w.op(t, 9))
			}
			s.judged(3)
			require.Equal(t, 1, s.proxy.Stats().Accepted, "all on one connection")
		})
	}
}

func TestIdentify_ASecondReplacesTheHeldOne(t *testing.T) {
	t.Parallel()
	for name, second := range map[string]string{"of another shard": identify(1, 2, ""), "the same again": identify(0, 1, ""), "with more in it": identify(0, 1, `,"x":1`)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, g, q := behind(t)
			bot, discord := holding(s, g, q, wire{})
			bot.send(`{"op":3,"d":"behind the first"}`)
			bot.send(second)
			bot.send(`{"op":3,"d":"behind the second"}`)
			eventually(t, func() bool {
				calls := q.calls()
				return strings.Contains(second, fmt.Sprintf(`"shard":[%d`, calls[len(calls)-1].shard))
			}, "the second in line")
			eventually(t, func() bool { return s.proxy.Stats().BytesToDiscord == int64(len(bot.sent)) }, "all is read")
			q.waits(t, 1)
			q.grant()
			q.grant() // nobody takes it
			m, err := discord.next()
			require.NoError(t, err)
			require.Equal(t, second, string(m.text))
			require.Contains(t, string(discord.wantText("behind")), "the second")
			discord.nothing(50 * time.Millisecond)
			q.settled(t, 1, 0)
		})
	}
}

func TestIdentify_OneThatHasLeftIsNotSentTwice(t *testing.T) {
	t.Parallel()
	s, g, q := behind(t)
	bot, discord := holding(s, g, q, wire{})
	q.grant()
	discord.wantText(`"op":2`)
	q.settled(t, 1, 0)
	q.grant()
	bot.send(identify(0, 1, ""))
	require.Equal(t, 4005, bot.closes())
	_, err := discord.next()
	require.Error(t, err, "and Discord gets neither it nor a close frame")
	q.settled(t, 1, 0)
}

// An op 9 may be answered before the proxy has noted that its IDENTIFY had left.
func TestIdentify_AfterAnOp9ThatIsFast(t *testing.T) {
	t.Parallel()
	s, g, q := behind(t)
	bot, discord := holding(s, g, q, wire{})
	go func() {
		for {
			if m, err := discord.next(); err != nil || m.opcode == wsframe.Close {
				return
			}
			_, _ = discord.Write(discord.frame(0x81, []byte(`{"t":null,"s":null,"op":9,"d":false}`)))
		}
	}()
	again := bot.frame(0x81, []byte(identify(0, 1, "")))
	for range 100 {
		q.grant()
		bot.wantText(`"op":9`)
		bot.put(again)
	}
	q.settled(t, 100, 0)
}

func TestIdentify_ResumeWithdrawsIt(t *testing.T) {
	t.Parallel()
	s, g, q := behind(t)
	bot, discord := holding(s, g, q, wire{})
	bot.send(resume("one", 1))
	require.Contains(t, string(discord.wantText("op")), `"op":6`)
	q.waits(t, 0)
	q.grant()
	discord.nothing(50 * time.Millisecond)
	q.settled(t, 0, 0)
	require.Equal(t, 1, s.seen(gatewayproxy.EventLeft))
}

func TestIdentify_MessagesBehindItKeepTheirOrder(t *testing.T) {
	t.Parallel()
	s, g, q := behind(t)
	bot, discord := holding(s, g, q, wire{})
	for i := range 120 {
		bot.send(fmt.Sprintf(`{"op":3,"d":%d}`, i))
		if i%10 == 0 {
			bot.send(`{"op":1,"d":null}`)
			require.Contains(t, string(discord.wantText("op")), `"op":1`, "heartbeats pass")
		}
	}
	eventually(t, func() bool { return s.proxy.Stats().BytesToDiscord == int64(len(bot.sent)) }, "all is read")
	q.grant()
	require.Contains(t, string(discord.wantText("op")), `"op":2`)
	for i := range 120 {
		require.Equal(t, fmt.Sprintf(`{"op":3,"d":%d}`, i), string(discord.wantText("op")))
	}
	q.settled(t, 1, 0)
}

func TestIdentify_MoreThan120MessagesBehindIt(t *testing.T) {
	t.Parallel()
	s, g, q := behind(t)
	bot, _ := holding(s, g, q, wire{})
	for i := range 121 {
		bot.send(fmt.Sprintf(`{"op":3,"d":%d}`, i))
	}
	require.Equal(t, 4008, bot.closes())
	q.waits(t, 0)
	q.settled(t, 0, 0)
}

func TestIdentify_HeartbeatsAreSentForASilentBotAndNoneBeforeREADY(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]wire{"json": {}, "etf": {query: "encoding=etf"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, g, q := behind(t)
			bot := s.raw(s.url, w)
			discord := g.accepts()
			greeting, ack := []byte(`{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":3000}}`), []byte(`{"t":null,"s":null,"op":11,"d":null}`)
			kind := byte(0x81)
			if w.etf() {
				greeting, kind = sentTerm(t, 10, etf.Map{{Key: "heartbeat_interval", Value: 3000}}, ""), 0x82
				ack = sentTerm(t, 11, nil, "")
			}
			discord.put(discord.frame(kind, greeting))
			bot.wantText("heartbeat_interval")
			bot.says(w.identify(t, 0, 1))
			for range 3 {
				m, err := discord.next()
				require.NoError(t, err)
				require.Equal(t, kind&0x0f, m.opcode)
				require.Equal(t, w.payload(t, 1, nil), m.text)
				discord.put(discord.frame(kind, ack))
				bot.wantText(w.op(t, 11)) // of a heartbeat that the bot did not send
			}
			q.grant()
			for {
				m, err := discord.next()
				require.NoError(t, err)
				if bytes.Contains(m.text, []byte(gatewaytest.DefaultToken)) {
					break
				}
				discord.put(discord.frame(kind, ack))
			}
			discord.nothing(4500 * time.Millisecond)
		})
	}
}

// sentTerm is a payload of Discord's in ETF.
func sentTerm(t *testing.T, op int, d any, event string) []byte {
	t.Helper()
	var name any
	if event != "" {
		name = etf.Atom(event)
	}
	b, err := etf.Encode(etf.Map{{Key: etf.Atom("t"), Value: name}, {Key: etf.Atom("s"), Value: 1}, {Key: etf.Atom("op"), Value: op}, {Key: etf.Atom("d"), Value: d}})
	require.NoError(t, err)
	return b
}
