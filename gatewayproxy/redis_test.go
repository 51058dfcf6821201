// Redis goes away while IDENTIFYs are held: they stay held, and all else goes on.

package gatewayproxy_test

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

func TestRedisAway_WhileHeld(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ goes, comes func(*redistest.Server) }{
		"paused": {(*redistest.Server).Pause, (*redistest.Server).Resume},
		"killed": {(*redistest.Server).Kill, func(s *redistest.Server) { s.Restart() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
			const window = time.Second
			limit := fullLimit(1)
			queue, err := redisqueue.New(redis.Client(t), redisqueue.WithApp(gatewaytest.ApplicationID), redisqueue.WithLimit(limit), redisqueue.WithWindow(window),
				redisqueue.WithLogger(slog.New(slog.DiscardHandler)))
			require.NoError(t, err)
			t.Cleanup(func() { _ = queue.Close() })
			s := newStage(t, settings{queues: gatewayproxy.One(queue), discord: []gatewaytest.Option{gatewaytest.WithWindow(window), gatewaytest.WithHeartbeat(3 * time.Second)}})
			first := s.raw(s.url, wire{})
			first.wantText("heartbeat_interval")
			first.send(identify(0, 3, ""))
			first.wantText("READY")
			first.put(first.frame(0x88, wsframe.ClosePayload(4000, ""))) // its session can wait
			require.Equal(t, 4000, first.closes())

			silent, beating := s.raw(s.url, wire{}), s.raw(s.url, wire{})
			for shard, bot := range []*line{silent, beating} {
				bot.wantText("heartbeat_interval")
				bot.send(identify(shard+1, 3, ""))
			}
			// On a slow machine one of them may have left by now, and then the other waits.
			eventually(t, func() bool { return s.seen(gatewayproxy.EventHeld) == 3 }, "two more")
			c.goes(redis)
			id := s.discord.Sessions()[0].ID
			resumed := s.raw(s.url, wire{})
			resumed.wantText("heartbeat_interval")
			resumed.send(resume(id, 1))
			resumed.wantText("RESUMED") // nothing of Redis is needed for it
			for until := time.Now().Add(7 * time.Second); time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
				beating.send(`{"op":1,"d":null}`)
				beating.wantText(`"op":11`)
				resumed.send(`{"op":1,"d":1}`)
				resumed.wantText(`"op":11`)
			}
			require.Zero(t, s.proxy.Stats().Redials, "the proxy beats for the silent one")
			c.comes(redis)
			silent.wantText("READY")
			beating.wantText("READY")
			s.judged(3)
			reports := s.discord.Shards()
			for _, r := range reports {
				require.Zero(t, r.Heartbeats.Starting, "and not before READY: %+v", r)
			}
		})
	}
}
