// A bot on disgo whose pods share one IDENTIFY queue.
//
//	go run ./disgo                      a play: no token and no Redis needed
//	DISCORD_TOKEN=... go run ./disgo    a pod; see -help
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/disgoorg/disgo"
	"github.com/disgoorg/disgo/bot"
	"github.com/disgoorg/disgo/events"
	"github.com/disgoorg/disgo/gateway"
	"github.com/disgoorg/disgo/rest"
	"github.com/disgoorg/disgo/sharding"
	"github.com/gorilla/websocket"

	"github.com/gatewayqueue/gatewayqueue/disgoqueue"
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

	limiter := disgoqueue.New(queue)
	client, err := disgo.New(pod.Token,
		bot.WithLogger(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))),
		bot.WithRestClientConfigOpts(rest.WithURL(pod.API)),
		bot.WithShardManagerConfigOpts(
			sharding.WithShardIDs(pod.Shards...),
			sharding.WithShardCount(pod.ShardCount),
			sharding.WithIdentifyRateLimiter(limiter),
			sharding.WithGatewayConfigOpts(
				gateway.WithIntents(gateway.IntentGuilds),
				gateway.WithDialer(&websocket.Dialer{
					NetDialContext:    limiter.DialContext,
					NetDialTLSContext: limiter.DialTLSContext,
				}),
			),
		),
		bot.WithEventListenerFunc(func(e *events.Ready) { fmt.Printf("shard %d is ready\n", e.ShardID()) }),
		bot.WithEventListenerFunc(func(e *events.Resumed) { fmt.Printf("shard %d has resumed\n", e.ShardID()) }),
	)
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		limiter.Close(ctx) // before the client, which waits for shards that wait
		client.Close(ctx)
	}()
	if err := client.OpenShardManager(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
