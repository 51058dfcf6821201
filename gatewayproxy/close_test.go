// Close codes, and connections that end without one.

package gatewayproxy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

// codes are Discord's, the protocol's, and payloads of close frames that are odd.
func codes() map[string][]byte {
	all := map[string][]byte{
		"none": nil, "with a long reason": wsframe.ClosePayload(4000, string(make([]byte, 123))),
		"with a reason in UTF-8": wsframe.ClosePayload(4001, "à bientôt"), "of one byte": {3},
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4001, 4002, 4003, 4004, 4005, 4007, 4008, 4009, 4010, 4011, 4012, 4013, 4014, 4999} {
		all[fmt.Sprint(code)] = wsframe.ClosePayload(code, "why it is so")
	}
	return all
}

// started is a bot whose IDENTIFY has left, and if ready its READY come.
func started(s *stage, g *fakeGateway, q *gate, ready bool) (bot, discord *line) {
	s.Helper()
	bot, discord = holding(s, g, q, wire{})
	q.grant()
	discord.wantText(`"op":2`)
	if ready {
		discord.put(discord.frame(0x81, []byte(readyOf(g.url, ""))))
		bot.wantText("READY")
	}
	return bot, discord
}

// closeFrame reads up to a close frame, and returns what it carries.
func (l *line) closeFrame() string {
	l.Helper()
	for {
		m, err := l.next()
		require.NoError(l, err)
		if m.opcode == wsframe.Close {
			return string(m.text)
		}
	}
}

func TestClose_DiscordsCodePasses(t *testing.T) {
	t.Parallel()
	s, g, q := behind(t)
	for name, payload := range codes() {
		for _, ready := range []bool{true, false} {
			bot, discord := started(s, g, q, ready)
			discord.put(discord.frame(0x88, payload))
			require.Equal(t, string(payload), bot.closeFrame(), name)
			bot.put(bot.frame(0x88, payload))
			require.Equal(t, string(payload), discord.closeFrame(), "and the answer: %s", name)
			_, err := bot.next()
			require.Error(t, err, "it is over")
		}
	}
	for _, shard := range s.proxy.Shards("") {
		require.Equal(t, gatewayproxy.Closer("discord"), shard.LastCloseBy)
	}
}

func TestClose_TheBotsCodePasses(t *testing.T) {
	t.Parallel()
	s, g, q := behind(t)
	for name, payload := range codes() {
		for _, ready := range []bool{true, false} {
			bot, discord := started(s, g, q, ready)
			bot.put(bot.frame(0x88, payload))
			require.Equal(t, string(payload), discord.closeFrame(), name)
			discord.put(discord.frame(0x88, payload))
			require.Equal(t, string(payload), bot.closeFrame(), "and the answer: %s", name)
			_, err := bot.next()
			require.Error(t, err, "it is over")
		}
	}
	require.Equal(t, gatewayproxy.Closer("bot"), s.proxy.Shards("")[0].LastCloseBy)
}

// A close frame of Discord's among the frames of a message passes, too.
func TestClose_AmongFrames(t *testing.T) {
	t.Parallel()
	s, g, q := behind(t)
	bot, discord := started(s, g, q, true)
	discord.put(discord.frame(0x01, make([]byte, 5000)), discord.frame(0x88, wsframe.ClosePayload(4009, "late")))
	require.Equal(t, string(wsframe.ClosePayload(4009, "late")), bot.closeFrame())
}

// What Discord closes with decides on the session as without a proxy.
func TestClose_SessionsOutliveWhatTheyOutlive(t *testing.T) {
	t.Parallel()
	for _, code := range []int{1000, 1001, 4000, 4001, 4002, 4003, 4004, 4005, 4007, 4008, 4009, 4010, 4011, 4012, 4013, 4014} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			s := newStage(t, settings{discord: []gatewaytest.Option{gatewaytest.WithWindow(1)}})
			sessions := make(map[string]int)
			for _, at := range []string{s.url, s.discord.GatewayURL()} {
				bot := s.raw(at, wire{})
				bot.wantText("heartbeat_interval")
				bot.send(identify(0, 1, ""))
				bot.wantText("READY")
				before := len(s.discord.Sessions())
				n, err := s.discord.CloseShards(code, 0)
				require.NoError(t, err)
				require.Equal(t, 1, n)
				require.Equal(t, code, bot.closes())
				sessions[at] = before - len(s.discord.Sessions())
			}
			require.Equal(t, sessions[s.discord.GatewayURL()], sessions[s.url])
		})
	}
}

// How a bot leaves decides, too: 1000 and 1001 end its session, all else does not.
func TestClose_HowABotLeaves(t *testing.T) {
	t.Parallel()
	closes := func(code int) func(*line) {
		return func(l *line) {
			l.put(l.frame(0x88, wsframe.ClosePayload(code, "")))
			l.closes()
		}
	}
	for name, c := range map[string]struct {
		leaves func(*line)
		ends   bool
	}{
		"1000": {closes(1000), true}, "1001": {closes(1001), true}, "4000": {closes(4000), false},
		"FIN": {func(l *line) { _ = l.Close() }, false}, "RST": {(*line).reset, false},
		"half a frame":   {func(l *line) { l.put(l.frame(0x81, []byte("{}"))[:3]); _ = l.Close() }, false},
		"a bad frame":    {func(l *line) { l.put(l.frame(0x83, nil)); require.Equal(l, 1002, l.closes()) }, false},
		"a bad payload":  {func(l *line) { l.send("nonsense"); require.Equal(l, 4002, l.closes()) }, false},
		"1000 at random": {func(l *line) { l.put(l.frame(0x88, wsframe.ClosePayload(1000, ""))); l.reset() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, settings{})
			bot := s.raw(s.url, wire{})
			bot.wantText("heartbeat_interval")
			bot.send(identify(0, 1, ""))
			bot.wantText("READY")
			c.leaves(bot)
			if name == "1000 at random" { // a reset may overtake it: either is right
				eventually(t, func() bool { return s.proxy.Stats().Connections == 0 }, "the end")
				return
			}
			eventually(t, func() bool {
				sessions := s.discord.Sessions()
				return c.ends && len(sessions) == 0 || !c.ends && len(sessions) == 1 && !sessions[0].Connected
			}, "the session's end: %v", c.ends)
		})
	}
}

// Both close at once: each side hears the other's code, and nothing stays.
func TestClose_BothAtOnce(t *testing.T) {
	t.Parallel()
	for range 20 {
		s, g, q := behind(t)
		bot, discord := started(s, g, q, true)
		go func() { _, _ = discord.Write(discord.frame(0x88, wsframe.ClosePayload(4008, ""))) }()
		bot.put(bot.frame(0x88, wsframe.ClosePayload(4900, "")))
		require.Equal(t, 4008, bot.closes())
		require.Equal(t, 4900, discord.closes())
		eventually(t, func() bool { return s.proxy.Stats().Connections == 0 }, "the end")
	}
}

func TestClose_ABotThatHangsUpHasClosedItself(t *testing.T) {
	t.Parallel()
	s := newStage(t, settings{})
	b := s.dial(s.url, "")
	b.ready(0, 1)
	require.NoError(t, b.conn.CloseNow())
	require.Eventually(t, func() bool { return s.proxy.Shards("")[0].State == gatewayproxy.StateGone }, time.Minute, 10*time.Millisecond)
	require.Equal(t, gatewayproxy.Closer("bot"), s.proxy.Shards("")[0].LastCloseBy)
}

func TestIdentify_ThatDiscordWouldNotTakeIsNotHeld(t *testing.T) {
	t.Parallel()
	s := newStage(t, settings{})
	b := s.dial(s.url, "")
	b.want(10, "")
	b.send(identify(0, 1, `,"x":"`+strings.Repeat("y", 4096)+`"`))
	_, err := b.next()
	require.Equal(t, websocket.StatusCode(4002), websocket.CloseStatus(err))
	s.judged(0)
}
