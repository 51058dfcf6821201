// A bot on discordgo v0.29.0: one session per shard, as its documentation wants it.

package e2e

import (
	"context"
	"sync"
	"time"

	"github.com/bwmarrin/discordgo"
	"github.com/gorilla/websocket"
	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/discordgoqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

type discordgoBot struct {
	sessions []*discordgo.Session
	gates    []*discordgoqueue.Gate
	pause    time.Duration // between two calls of Open, for those who have no gate
}

func newDiscordgoBot(config podConfig, _ redis.UniversalClient, queue *redisqueue.RedisQueue) *discordgoBot {
	discordgo.EndpointAPI = config.URL + "/api/v9/"
	discordgo.EndpointGateway = discordgo.EndpointAPI + "gateway"
	discordgo.EndpointGatewayBot = discordgo.EndpointGateway + "/bot"
	b := &discordgoBot{}
	for _, shard := range config.Shards {
		session, err := discordgo.New("Bot " + config.Token)
		exitOn(err)
		session.LogLevel = -1 // it logs every broken connection
		session.ShardID, session.ShardCount = shard, config.ShardCount
		b.sessions = append(b.sessions, session)
		if config.Limiter == limiterOwn {
			b.pause = config.Window
			continue
		}
		gate := discordgoqueue.New(queue, shard)
		session.Dialer = &websocket.Dialer{NetDialContext: gate.DialContext, NetDialTLSContext: gate.DialTLSContext}
		session.AddHandler(func(*discordgo.Session, *discordgo.Ready) { gate.Ready() })
		b.gates = append(b.gates, gate)
	}
	return b
}

func (b *discordgoBot) open(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, session := range b.sessions {
		up := func() {
			for wait := time.Second; session.Open() != nil; wait = min(2*wait, time.Minute) {
				if !b.sleep(ctx, wait) {
					return
				}
			}
		}
		if b.pause == 0 {
			all.Go(up)
			continue
		}
		up()
		if !b.sleep(ctx, b.pause) {
			return
		}
	}
}

func (b *discordgoBot) sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func (b *discordgoBot) close(context.Context) {
	var all sync.WaitGroup
	for _, gate := range b.gates {
		all.Go(gate.Close) // first: a session waits for those who wait
	}
	all.Wait()
	for _, session := range b.sessions {
		session.ShouldReconnectOnError = false
		all.Go(func() { _ = session.Close() })
	}
	all.Wait()
}
