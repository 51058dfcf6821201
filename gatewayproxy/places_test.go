// Bots that come and go while they wait, and proxies that end.

package gatewayproxy_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

// leavings are the ways in which a bot leaves.
var leavings = map[string]func(bot, discord *line){
	"close 1000": func(l, discord *line) {
		l.put(l.frame(0x88, wsframe.ClosePayload(1000, "")))
		require.Equal(l, 1000, discord.closes())
	},
	"FIN":         func(l, _ *line) { _ = l.Close() },
	"RST":         func(l, _ *line) { l.reset() },
	"half a beat": func(l, _ *line) { l.put(l.frame(0x81, []byte(`{"op":1}`))[:5]); l.reset() },
	"bad frame":   func(l, _ *line) { l.put(bytes.Repeat([]byte{0xff}, 14)); l.closes(); _ = l.Close() },
}

func TestPlace_IsKeptForABotThatComesBack(t *testing.T) {
	t.Parallel()
	for name, leaves := range leavings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, g, q := behind(t)
			leaves(holding(s, g, q, wire{}))
			q.waits(t, 0)
			again, discord := holding(s, g, q, wire{})
			calls := q.calls()
			require.Len(t, calls, 2)
			require.True(t, calls[1].since.Equal(calls[0].told), "it stands where it stood")
			again.send(identify(1, 2, "")) // another shard has no place
			eventually(t, func() bool { return len(q.calls()) == 3 }, "the other shard")
			require.Zero(t, q.calls()[2].since)
			q.grant()
			discord.wantText(`"op":2`)
			q.settled(t, 1, 0)
		})
	}
}

func TestPlace_LapsesAfterTheLinger(t *testing.T) {
	t.Parallel()
	for _, linger := range []time.Duration{0, time.Millisecond} {
		t.Run(linger.String(), func(t *testing.T) {
			t.Parallel()
			s, g, q := behind(t, gatewayproxy.WithLinger(linger))
			bot, _ := holding(s, g, q, wire{})
			_ = bot.Close()
			q.waits(t, 0)
			time.Sleep(5 * time.Millisecond)
			holding(s, g, q, wire{})
			require.Zero(t, q.calls()[1].since)
		})
	}
}

// While a bot is away whose place is kept, the others of its bucket have their turns.
func TestPlace_OthersAreNotHeldUp(t *testing.T) {
	t.Parallel()
	s := newStage(t, settings{})
	first := s.raw(s.url, wire{})
	first.wantText("heartbeat_interval")
	first.send(identify(0, 3, ""))
	first.wantText("READY")
	var waiting []*line
	for shard := 1; shard < 3; shard++ {
		l := s.raw(s.url, wire{})
		l.wantText("heartbeat_interval")
		l.send(identify(shard, 3, ""))
		waiting = append(waiting, l)
		eventually(t, func() bool { return s.seen(gatewayproxy.EventHeld) == shard+1 }, "shard %d", shard)
	}
	_ = waiting[0].Close()
	waiting[1].wantText("READY")
	back := s.raw(s.url, wire{})
	back.wantText("heartbeat_interval")
	back.send(identify(1, 3, ""))
	back.wantText("READY")
	v := s.discord.Judge().Verdict()
	require.True(t, v.OK(), "%v", v)
}

func TestMostHeld_SendsTheBotAwayWithItsPlace(t *testing.T) {
	t.Parallel()
	s, g, q := behind(t, gatewayproxy.WithMostHeld(50*time.Millisecond))
	bot := s.raw(s.url, wire{})
	bot.send(identify(0, 1, ""))
	require.Equal(t, 4000, bot.closes())
	g.accepts()
	again := s.raw(s.url, wire{})
	again.send(identify(0, 1, ""))
	eventually(t, func() bool { return len(q.calls()) == 2 }, "the second time")
	calls := q.calls()
	require.True(t, calls[1].since.Equal(calls[0].told))
	q.settled(t, 0, 0)
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	for name, w := range wires {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newGate()
			s := newStage(t, settings{queues: q.queues(), discord: []gatewaytest.Option{gatewaytest.WithGuilds(1, 40_000)}})
			ready, held, idle := s.raw(s.url, w), s.raw(s.url, w), s.raw(s.url, w)
			q.grant()
			ready.says(w.identify(t, 0, 2))
			ready.wantText("READY")
			ready.wantText("GUILD_CREATE")
			q.settled(t, 1, 0)
			held.says(w.identify(t, 1, 2))
			q.waits(t, 1)
			done := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				done <- s.proxy.Shutdown(ctx)
			}()
			for _, l := range []*line{ready, held, idle} {
				require.Equal(t, 4000, l.closes())
				q.grant() // too late
				_ = l.Close()
			}
			require.NoError(t, <-done)
			q.waits(t, 0)
			s.judged(1)
			require.Equal(t, 1, q.identifiedNow())
			sessions := s.discord.Sessions()
			require.Len(t, sessions, 1, "the session can be resumed")
			eventually(t, func() bool { return !s.discord.Sessions()[0].Connected }, "Discord to hear of it")
			require.Zero(t, s.proxy.Stats().Connections)
			require.NoError(t, s.proxy.Shutdown(t.Context()), "again")
			late := connect(t, s.url)
			late.put([]byte(upgradeRequest("/", "x")))
			require.Contains(t, late.answer(), "503")
		})
	}
}

func (g *gate) identifiedNow() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.identified
}

// answer reads the first line of an HTTP answer.
func (l *line) answer() string {
	l.Helper()
	first, err := l.in.ReadString('\n')
	require.NoError(l, err)
	return first
}

// Shutdown against everything at once: whatever it meets, no IDENTIFY leaves after it
// has returned, and every permit is settled.
func TestShutdown_InTheMidstOfAll(t *testing.T) {
	t.Parallel()
	for range 10 {
		q := newGate()
		s := newStage(t, settings{queues: q.queues(), limit: fullLimit(16)})
		var all sync.WaitGroup
		for shard := range 16 {
			l := s.raw(s.url, wire{})
			all.Go(func() {
				_, _ = l.Write(l.frame(0x81, []byte(identify(shard, 16, ""))))
				for {
					if m, err := l.next(); err != nil || m.opcode == wsframe.Close {
						_ = l.Close()
						return
					}
				}
			})
		}
		all.Go(func() {
			for range 16 {
				q.grant()
				time.Sleep(200 * time.Microsecond)
			}
		})
		time.Sleep(time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		require.NoError(t, s.proxy.Shutdown(ctx))
		cancel()
		left := s.proxy.Stats().Identifies
		all.Wait()
		q.waits(t, 0)
		time.Sleep(20 * time.Millisecond)
		require.Equal(t, left, q.identifiedNow(), "each was granted")
		require.LessOrEqual(t, s.discord.Judge().Verdict().Identifies, left, "nothing leaves after it")
	}
}

// tokenOf is a token of an application.
func tokenOf(app int) string {
	return base64.RawURLEncoding.EncodeToString(fmt.Append(nil, app)) + ".x.y"
}

func TestBots_DoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	g := newGateway(t)
	queues := map[string]*gate{"101": newGate(), "102": newGate()}
	never := make(chan struct{})
	s := newStage(t, settings{proxy: []gatewayproxy.Option{gatewayproxy.WithGateway(g.url)}, queues: func(ctx context.Context, bot gatewayproxy.Bot) (gatewayqueue.PermitQueue, error) {
		if q := queues[bot.App]; q != nil {
			require.Contains(t, bot.Token, ".x.y")
			return q, nil
		}
		close(never)
		<-ctx.Done() // one that is never found
		return nil, ctx.Err()
	}})
	bots := make(map[int]*line)
	for _, app := range []int{103, 101, 102} {
		l := s.raw(s.url, wire{})
		bots[app] = l
		l.send(fmt.Sprintf(`{"op":2,"d":{"token":"Bot %s"}}`, tokenOf(app)))
	}
	<-never
	queues["101"].waits(t, 1)
	queues["102"].waits(t, 1)
	queues["102"].grant()
	found := make(chan string, 3)
	for range 3 {
		d := g.accepts()
		go func() {
			if m, err := d.next(); err == nil {
				found <- string(m.text)
			}
		}()
	}
	require.Contains(t, <-found, tokenOf(102))
	queues["101"].grant()
	require.Contains(t, <-found, tokenOf(101))
	shards := s.proxy.Shards("102")
	require.Len(t, shards, 1)
	require.Equal(t, gatewayproxy.StateIdentifying, shards[0].State)
	require.Len(t, s.proxy.Shards(""), 3)
}

func TestBots_AWrongTokenSpendsNothing(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := newStage(t, settings{queues: func(context.Context, gatewayproxy.Bot) (gatewayqueue.PermitQueue, error) {
		asked.Add(1)
		return nil, errors.Join(errors.New("401"), gatewayproxy.ErrToken)
	}})
	for range 3 {
		l := s.raw(s.url, wire{})
		l.send(identify(0, 1, ""))
		require.Equal(t, 4004, l.closes())
	}
	for _, none := range []string{`"nonsense"`, `"a.b.c"`, `""`, `null`, `"MTIz\n.x.y"`} {
		l := s.raw(s.url, wire{})
		l.send(`{"op":2,"d":{"token":` + none + `}}`)
		require.Equal(t, 4004, l.closes(), none)
	}
	require.EqualValues(t, 1, asked.Load(), "Discord is asked once")
	s.judged(0)
}
