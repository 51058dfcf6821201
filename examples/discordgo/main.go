// A bot on discordgo whose pods share one IDENTIFY queue.
//
//	go run ./discordgo                      a play: no token and no Redis needed
//	DISCORD_TOKEN=... go run ./discordgo    a pod; see -help
package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/bwmarrin/discordgo"
	"github.com/gorilla/websocket"

	"github.com/gatewayqueue/gatewayqueue/discordgoqueue"
	"github.com/gatewayqueue/gatewayqueue/examples/internal/stage"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

func main() { stage.Main(run) }

func run(ctx context.Context, pod stage.Pod) error {
	queue, err := redisqueue.New(pod.Redis,
		redisqueue.WithApp(pod.App),
		redisqueue.WithPod(pod.Name),
		redisqueue.WithLimitSource(redisqueue.DiscordLimitsAt(pod.API, nil, pod.Token)),
		redisqueue.WithObserver(pod.Say),
	)
	if err != nil {
		return err
	}
	defer func() { _ = queue.Close() }()
	if strings.HasPrefix(pod.API, "http://") { // the fake Discord
		discordgo.EndpointAPI = pod.API + "/"
		discordgo.EndpointGateway = pod.API + "/gateway"
		discordgo.EndpointGatewayBot = pod.API + "/gateway/bot"
	}

	var shards sync.WaitGroup
	defer shards.Wait()
	for _, id := range pod.Shards {
		session, err := discordgo.New("Bot " + pod.Token)
		if err != nil {
			return err
		}
		session.ShardID, session.ShardCount = id, pod.ShardCount
		session.Identify.Intents = discordgo.IntentsGuilds

		gate := discordgoqueue.New(queue, id)
		session.Dialer = &websocket.Dialer{
			NetDialContext:    gate.DialContext,
			NetDialTLSContext: gate.DialTLSContext,
		}
		session.AddHandler(func(*discordgo.Session, *discordgo.Ready) {
			gate.Ready()
			fmt.Printf("shard %d is ready\n", id)
		})
		session.AddHandler(func(*discordgo.Session, *discordgo.Resumed) { fmt.Printf("shard %d has resumed\n", id) })
		shards.Go(func() {
			open(ctx, session)
			<-ctx.Done()
			session.ShouldReconnectOnError = false
			if err := session.Close(); err != nil {
				fmt.Println(err)
			}
		})
		context.AfterFunc(ctx, gate.Close) // before the session's Close, which waits for a shard that waits
	}
	return nil
}

// open opens a session, however often that takes. discordgo itself only tries
// again after the first success.
func open(ctx context.Context, session *discordgo.Session) {
	for wait := time.Second; ; wait = min(2*wait, time.Minute) {
		err := session.Open()
		if err == nil || ctx.Err() != nil {
			return
		}
		fmt.Printf("shard %d: %v\n", session.ShardID, err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}
