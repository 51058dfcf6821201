// Discord goes away while IDENTIFY is held: the bot keeps its connection.

package gatewayproxy_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

// barrier is a dial function that the test can close.
type barrier struct{ closed atomic.Bool }

func (b *barrier) option() gatewayproxy.Option {
	return gatewayproxy.WithNetDial(func(ctx context.Context, network, addr string) (net.Conn, error) {
		if b.closed.Load() {
			return nil, errors.New("the barrier is closed")
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	})
}

func TestRedial_WhileHeld(t *testing.T) {
	t.Parallel()
	for name, w := range wires {
		for how, ends := range map[string]func(*gatewaytest.Server){
			"severed": func(d *gatewaytest.Server) { d.Drop(false) }, "closed": func(d *gatewaytest.Server) { d.Restart() },
		} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				q, road := newGate(), &barrier{}
				s := newStage(t, settings{queues: q.queues(), proxy: []gatewayproxy.Option{road.option()}, discord: []gatewaytest.Option{gatewaytest.WithGuilds(1, 40_000)}})
				bot := s.raw(s.url, w)
				bot.wantText("heartbeat_interval")
				bot.says(w.identify(t, 0, 1))
				q.waits(t, 1)
				road.closed.Store(true)
				ends(s.discord)
				eventually(t, func() bool { return s.proxy.Stats().FailedDials > 0 }, "a dial that fails")
				for range 3 { // Discord is not there: the proxy answers
					bot.says(w.payload(t, 1, nil))
					bot.wantText(w.op(t, 11))
					bot.put(bot.frame(0x89, []byte("ping")))
					m, err := bot.next()
					require.NoError(t, err)
					require.Equal(t, message{wsframe.Pong, []byte("ping")}, m)
				}
				q.grant() // it waits for a connection, with its permit
				road.closed.Store(false)
				bot.wantText("READY")
				bot.wantText("GUILD_CREATE")
				bot.says(w.payload(t, 1, nil))
				if !w.stream() {
					bot.wantText(w.op(t, 11))
				}
				s.judged(1)
				q.settled(t, 1, 0)
				bot.put(bot.frame(0x88, wsframe.ClosePayload(1000, "")))
				require.Equal(t, 1000, bot.closes())
				require.Equal(t, 1, s.proxy.Stats().Redials)
			})
		}
	}
}

// A gateway that takes connections and ends them at once is not stormed.
func TestRedial_IsPaced(t *testing.T) {
	t.Parallel()
	s, g, q := behind(t)
	_, discord := holding(s, g, q, wire{})
	require.NoError(t, discord.Close())
	begun := time.Now()
	dials := 0
	for time.Since(begun) < 2500*time.Millisecond {
		select {
		case d := <-g.lines:
			dials++
			_ = d.Close()
		case <-time.After(10 * time.Millisecond):
		}
	}
	require.LessOrEqual(t, dials, 4)
	q.grant()
	for { // and goes on, however often it ends
		d := g.accepts()
		d.put(d.frame(0x81, []byte(hello)))
		if m, err := d.next(); err == nil {
			require.Contains(t, string(m.text), `"op":2`)
			break
		}
	}
	q.settled(t, 1, 0)
}

// Where IDENTIFY is not held, and for codes after which nobody may come back, the bot
// hears of it.
func TestRedial_OnlyWhereTheBotNeedNotKnow(t *testing.T) {
	t.Parallel()
	for _, code := range []int{4004, 4010, 4011, 4012, 4013, 4014, 4002, 4003, 4008} {
		s, g, q := behind(t)
		bot, discord := holding(s, g, q, wire{})
		discord.put(discord.frame(0x88, wsframe.ClosePayload(code, "why")))
		require.Equal(t, code, bot.closes())
		q.waits(t, 0)
	}
}

// A granted IDENTIFY of a bot that is gone before it could leave: the permit goes back.
func TestRedial_BotGoneWhileGranted(t *testing.T) {
	t.Parallel()
	for name, option := range map[string]gatewayproxy.Option{"dialled again": gatewayproxy.WithLinger(time.Minute), "dialled late": gatewayproxy.WithLateDial(time.Minute)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, road := newGate(), &barrier{}
			s := newStage(t, settings{queues: q.queues(), proxy: []gatewayproxy.Option{road.option(), option}})
			bot := s.raw(s.url, wire{})
			bot.wantText("heartbeat_interval")
			road.closed.Store(true)
			bot.send(identify(0, 1, ""))
			q.waits(t, 1)
			fails := func() { eventually(t, func() bool { return s.proxy.Stats().FailedDials > 0 }, "a dial that fails") }
			if name == "dialled again" {
				s.discord.Drop(false)
				fails()
			}
			q.grant()
			q.waits(t, 0)
			fails()
			bot.reset()
			q.settled(t, 0, 1)
			s.judged(0)
		})
	}
}

// A connection to Discord that carries nothing any more is given up while IDENTIFY is
// held, and the one that follows identifies.
func TestRedial_HalfOpenWhileHeld(t *testing.T) {
	t.Parallel()
	s, g, q := behind(t)
	bot := s.raw(s.url, wire{})
	first := g.accepts()
	first.put(first.frame(0x81, []byte(`{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":150}}`)))
	bot.wantText("heartbeat_interval")
	bot.send(identify(0, 1, ""))
	second := g.accepts() // the first takes what comes, and never answers
	second.put(second.frame(0x81, []byte(hello)))
	q.grant()
	second.wantText(`"op":2`)
	q.settled(t, 1, 0)
}

// Discord stalls in the midst of a message: a bot that leaves does not stay.
func TestRedial_StallInTheMidstOfAMessage(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]wire{"read": {query: "compress=zlib-stream"}, "copied": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, g, q := behind(t)
			bot, discord := holding2(s, g, q, w)
			q.grant()
			discord.wantText(`"op":2`)
			if w.stream() {
				discord.put(discord.frame(0x82, make([]byte, 5000))[:100])
			} else {
				discord.put(discord.frame(0x81, []byte(readyOf(g.url, ""))))
				bot.wantText("READY")
				discord.put(discord.frame(0x81, make([]byte, 5000))[:100])
			}
			time.Sleep(20 * time.Millisecond)
			go func() { // as a bot does
				for m, err := bot.next(); err == nil && m.opcode != wsframe.Close; m, err = bot.next() {
				}
				_ = bot.Close()
			}()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			require.NoError(t, s.proxy.Shutdown(ctx), "it does not wait for the rest")
			eventually(t, func() bool { return s.proxy.Stats().Connections == 0 }, "the connection's end")
		})
	}
}

// holding2 is holding, of a wire that only Discord's HELLO is needed for.
func holding2(s *stage, g *fakeGateway, q *gate, w wire) (bot, discord *line) {
	s.Helper()
	bot = s.raw(s.url, w)
	discord = g.accepts()
	bot.send(identify(0, 1, ""))
	q.waits(s.T, 1)
	return bot, discord
}

// A RESUME for which Discord cannot be had does not hold a bot that leaves.
func TestRedial_ResumeWithoutDiscord(t *testing.T) {
	t.Parallel()
	road := &barrier{}
	s := newStage(t, settings{proxy: []gatewayproxy.Option{road.option(), gatewayproxy.WithLateDial(time.Minute)}})
	road.closed.Store(true)
	bot := s.raw(s.url, wire{})
	bot.wantText("heartbeat_interval")
	bot.send(resume("one", 1))
	eventually(t, func() bool { return s.proxy.Stats().FailedDials > 0 }, "a dial that fails")
	bot.reset()
	eventually(t, func() bool { return s.proxy.Stats().Connections == 0 }, "the connection's end")
}

func TestLateDial(t *testing.T) {
	t.Parallel()
	for name, w := range wires {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, tapes := newGate(), &tapes{}
			s := newStage(t, settings{queues: q.queues(), proxy: []gatewayproxy.Option{tapes.option(), gatewayproxy.WithLateDial(30 * time.Second)},
				discord: []gatewaytest.Option{gatewaytest.WithGuilds(1, 40_000), gatewaytest.WithWindow(time.Nanosecond)}})
			bot := s.raw(s.url, w)
			bot.wantText("heartbeat_interval")
			for range 2 {
				bot.says(w.payload(t, 1, nil))
				bot.wantText(w.op(t, 11))
			}
			bot.says(w.identify(t, 3, 4))
			q.waits(t, 1)
			bot.says(w.payload(t, 1, nil))
			bot.wantText(w.op(t, 11))
			require.Equal(t, 0, s.discord.Stats().Connections, "Discord is dialled late")
			q.grant()
			ready := bot.wantText("READY")
			require.Contains(t, string(ready), s.url+"/resume/localhost:")
			bot.wantText("GUILD_CREATE")
			s.judged(1)
			q.settled(t, 1, 0)
			require.Equal(t, 1, s.discord.Stats().Connections)

			id := s.discord.Sessions()[0].ID
			bot.put(bot.frame(0x88, wsframe.ClosePayload(4000, "")))
			require.Equal(t, 4000, bot.closes())
			again := s.raw(s.url, w)
			again.wantText("heartbeat_interval")
			again.says(w.resume(t, id, 2))
			again.wantText("RESUMED")
			require.Equal(t, 1, s.discord.Resumes())
			if !w.stream() { // passes unread by then, or not: see TestIdentify_AfterOp9
				s.discord.Invalidate(false)
				again.wantText(w.op(t, 9))
				q.grant()
				again.says(w.identify(t, 3, 4))
				again.wantText("READY")
			}
		})
	}
}

// Requests of Discord's budget are for permits only: whatever a queue does, no
// IDENTIFY leaves without one.
func TestQueueFails_TheBotComesAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t, settings{})
	require.NoError(t, s.queue.Close())
	bot := s.raw(s.url, wire{})
	bot.wantText("heartbeat_interval")
	bot.send(identify(0, 1, ""))
	require.Equal(t, 4000, bot.closes())
	s.judged(0)
}

func TestQueues_FailForAWhile(t *testing.T) {
	t.Parallel()
	var back atomic.Bool
	q := newGate()
	q.grant()
	s := newStage(t, settings{queues: func(context.Context, gatewayproxy.Bot) (gatewayqueue.PermitQueue, error) {
		if !back.Load() {
			return nil, errors.New("Redis is away")
		}
		return q, nil
	}})
	bot := s.raw(s.url, wire{})
	bot.wantText("heartbeat_interval")
	bot.send(identify(0, 1, ""))
	other := s.raw(s.url, wire{}) // RESUMEs are not concerned
	other.wantText("heartbeat_interval")
	other.send(resume("nothing", 1))
	other.wantText(`"op":9`)
	bot.send(`{"op":1,"d":null}`)
	bot.wantText(`"op":11`)
	back.Store(true)
	bot.wantText("READY")
	s.judged(1)
	q.settled(t, 1, 0)
}

// A gateway host that is gone for good: an IDENTIFY that is held there goes to where
// bots begin, and no permit is kept from others meanwhile.
func TestRedial_ToWhereBotsBegin(t *testing.T) {
	t.Parallel()
	other := newGateway(t)
	s, g, q := behind(t, gatewayproxy.WithHosts(other.url))
	bot := s.raw(s.url+"/resume/"+strings.TrimPrefix(other.url, "ws://")+"/0", wire{})
	discord := other.accepts()
	bot.send(identify(0, 1, ""))
	q.waits(t, 1)
	_ = other.listener.Close()
	_ = discord.Close()
	front := g.accepts()
	front.put(front.frame(0x81, []byte(hello)))
	q.grant()
	front.wantText(`"op":2`)
	q.settled(t, 1, 0)
}

func TestRedial_APermitIsNotKeptForLong(t *testing.T) {
	t.Parallel()
	q, road := newGate(), &barrier{}
	s := newStage(t, settings{queues: q.queues(), proxy: []gatewayproxy.Option{road.option(), gatewayproxy.WithLateDial(time.Minute)}})
	road.closed.Store(true)
	bot := s.raw(s.url, wire{})
	bot.send(identify(0, 1, ""))
	q.grant()
	q.settled(t, 0, 1) // after ten seconds, which are four here
	q.grant()
	require.Len(t, q.calls(), 1, "it does not ask again as long as Discord is away")
	road.closed.Store(false)
	bot.wantText("READY")
	calls := q.calls()
	require.True(t, calls[1].since.Equal(calls[0].told), "and stands where it stood")
	q.settled(t, 1, 1)
}

// A bot that nobody but the proxy hears, and that is silent, is closed as Discord does.
func TestLateDial_ASilentBotIsClosed(t *testing.T) {
	t.Parallel()
	q := newGate()
	s := newStage(t, settings{queues: q.queues(), proxy: []gatewayproxy.Option{gatewayproxy.WithLateDial(time.Second)}})
	silent, held := s.raw(s.url, wire{}), s.raw(s.url, wire{})
	held.wantText("heartbeat_interval")
	held.send(identify(0, 1, ""))
	require.Equal(t, 4009, silent.closes())
	q.grant()
	held.wantText("READY") // which may be silent
	s.judged(1)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	for name, w := range wires {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			certificates := httptest.NewUnstartedServer(nil)
			certificates.StartTLS()
			t.Cleanup(certificates.Close)
			roots := certificates.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
			discord := gatewaytest.NewServer(gatewaytest.WithTLS(&tls.Config{Certificates: certificates.TLS.Certificates}), gatewaytest.WithGuilds(1, 50_000), gatewaytest.WithResumeHost("127.0.0.1"))
			t.Cleanup(discord.Close)
			q := newGate()
			s := newStage(t, settings{queues: q.queues(), proxy: []gatewayproxy.Option{gatewayproxy.WithGateway(discord.GatewayURL()), gatewayproxy.WithTLSConfig(&tls.Config{RootCAs: roots})}})
			front := httptest.NewTLSServer(s.proxy)
			t.Cleanup(front.Close)
			conn, err := tls.Dial("tcp", front.Listener.Addr().String(), &tls.Config{RootCAs: roots})
			require.NoError(t, err)
			bot := newLine(t, conn)
			bot.r.w = w
			bot.upgrade("/?v=10&" + w.query)
			bot.wantText("heartbeat_interval")
			bot.says(w.identify(t, 2, 3))
			q.waits(t, 1)
			discord.Drop(false)
			eventually(t, func() bool { return s.proxy.Stats().Redials == 1 }, "another connection")
			q.grant()
			ready := bot.wantText("READY")
			require.Contains(t, string(ready), "wss://"+front.Listener.Addr().String()+"/resume/"+strings.TrimPrefix(discord.GatewayURL(), "wss://")+"/2")
			bot.wantText("GUILD_CREATE")
			q.settled(t, 1, 0)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			go func() { _ = s.proxy.Shutdown(ctx) }()
			require.Equal(t, 4000, bot.closes())
			eventually(t, func() bool { return s.proxy.Stats().Connections == 0 }, "the end")
			eventually(t, func() bool { sessions := discord.Sessions(); return len(sessions) == 1 && !sessions[0].Connected }, "a session that can be resumed")
		})
	}
}
