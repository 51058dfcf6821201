// A bot on disgo v0.19.6, as its documentation wants it.

package e2e

import (
	"context"
	"log/slog"

	"github.com/disgoorg/disgo"
	disgobot "github.com/disgoorg/disgo/bot"
	"github.com/disgoorg/disgo/gateway"
	"github.com/disgoorg/disgo/rest"
	"github.com/disgoorg/disgo/sharding"
	"github.com/gorilla/websocket"
	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/disgoqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// The limiter has the shape that disgo wants.
var _ gateway.IdentifyRateLimiter = (*disgoqueue.Limiter)(nil)

type disgoBot struct {
	client  *disgobot.Client
	limiter gateway.IdentifyRateLimiter
}

func newDisgoBot(config podConfig, client redis.UniversalClient, queue *redisqueue.RedisQueue, log *slog.Logger) *disgoBot {
	b := &disgoBot{limiter: newLimiter(config, client, queue, log)}
	var gatewayOpts []gateway.ConfigOpt // its compression is zstd-stream
	if l, ok := b.limiter.(*disgoqueue.Limiter); ok && config.Limiter == limiterPermits {
		gatewayOpts = append(gatewayOpts, gateway.WithDialer(&websocket.Dialer{
			NetDialContext: l.DialContext, NetDialTLSContext: l.DialTLSContext,
		}))
	}
	var err error
	b.client, err = disgo.New(config.Token,
		disgobot.WithLogger(log),
		disgobot.WithRestClientConfigOpts(rest.WithURL(config.URL+"/api/v10")),
		disgobot.WithShardManagerConfigOpts(
			sharding.WithShardIDs(config.Shards...),
			sharding.WithShardCount(config.ShardCount),
			sharding.WithIdentifyRateLimiter(b.limiter),
			sharding.WithGatewayConfigOpts(gatewayOpts...),
		),
	)
	exitOn(err)
	return b
}

func (b *disgoBot) open(ctx context.Context) {
	_ = b.client.OpenShardManager(ctx) // disgo logs what failed
}

func (b *disgoBot) close(ctx context.Context) {
	b.limiter.Close(ctx) // first: the client waits for those who wait
	b.client.Close(ctx)
}
