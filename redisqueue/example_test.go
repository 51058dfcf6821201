package redisqueue_test

import (
	"context"
	"fmt"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// localRedis stands for redis.NewClient(&redis.Options{Addr: "redis:6379"}): it is a
// Redis in this process.
func localRedis() (client *redis.Client, stop func()) {
	server := miniredis.NewMiniRedis()
	server.ClockTTL(true) // else its keys never expire, and no bucket opens
	if err := server.Start(); err != nil {
		panic(err)
	}
	client = redis.NewClient(&redis.Options{Addr: server.Addr()})
	return client, func() {
		_ = client.Close()
		server.Close()
	}
}

// One queue for the whole process, as long as it runs. docs/library.md has a whole program.
func ExampleNew() {
	client, stop := localRedis() // redis.NewClient(&redis.Options{Addr: "redis:6379"})
	defer stop()
	queue, err := redisqueue.New(client,
		redisqueue.WithApp("1234567890"), // the application ID
		redisqueue.WithFreshStart())      // not in a deployment: there the first start waits for 10 s
	if err != nil {
		panic(err) // it names the setting that is wrong
	}
	defer queue.Close() // before the client

	err = queue.Wait(context.Background(), 3)
	fmt.Println("shard 3 may send IDENTIFY:", err == nil)
	// Output: shard 3 may send IDENTIFY: true
}
