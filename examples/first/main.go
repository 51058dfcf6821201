// A bot without a library, whose shards ask the queue: the program of docs/library.md.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	client := redis.NewClient(&redis.Options{Addr: "redis:6379"})
	defer client.Close()
	queue, err := redisqueue.New(client, // one for the process, as long as it runs
		redisqueue.WithApp("1234567890"),      // your application ID: another bot has another queue
		redisqueue.WithLogger(slog.Default()), // why nothing is granted: the first start on an empty Redis takes 10 s
		redisqueue.WithLimitSource(redisqueue.DiscordLimits(nil, os.Getenv("DISCORD_TOKEN"))))
	if err != nil {
		panic(err) // a setting is wrong, and it says which
	}
	defer queue.Close() // once no shard runs any more: gives up places in line

	var shards sync.WaitGroup
	for id := range 4 { // the shards of this process
		shards.Go(func() { keepUp(ctx, queue, id) })
	}
	shards.Wait()
}

// keepUp brings a shard up, and again whenever its session has ended.
func keepUp(ctx context.Context, queue gatewayqueue.PermitQueue, shard int) {
	for ctx.Err() == nil {
		var conn *connection
		err := gatewayqueue.Identify(ctx, queue, shard, // waits for its turn
			func(ctx context.Context) (err error) { conn, err = dial(ctx); return err }, // fails: nothing is spent
			func(ctx context.Context) error { return conn.identify(ctx, shard) })        // the bucket's 5 s begin
		if err == nil {
			err = conn.run(ctx) // until the session has ended. To RESUME it, do not ask the queue
		}
		if conn != nil {
			conn.close()
		}
		if ctx.Err() == nil {
			slog.Warn("the shard identifies again", "shard", shard, "error", err)
			time.Sleep(time.Second)
		}
	}
}
