// One example per feature.

package redisqueue_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// One queue for the whole process, as long as it runs. docs/library.md has a whole program.
func ExampleNew() {
	client := redis.NewClient(&redis.Options{Addr: "redis:6379"})
	defer client.Close()
	queue, err := redisqueue.New(client,
		redisqueue.WithApp("1234567890"), // the application ID
		redisqueue.WithLimitSource(redisqueue.DiscordLimits(nil, os.Getenv("DISCORD_TOKEN"))))
	if err != nil {
		slog.Error("a setting is wrong", "error", err)
		return
	}
	defer queue.Close() // before the client

	if err := queue.Wait(context.Background(), 3); err != nil {
		slog.Error("shard 3 was not granted, and nothing was spent", "error", err)
		return
	}
	// send IDENTIFY of shard 3 now
}

// A Redis Cluster: some of its nodes are enough. All keys of a bot are on one node.
func ExampleNew_cluster() {
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:    []string{"redis-0:6379", "redis-1:6379", "redis-2:6379"},
		Password: os.Getenv("REDIS_PASSWORD"),
	})
	defer client.Close()
	queue, err := redisqueue.New(client, redisqueue.WithApp("1234567890"),
		redisqueue.WithReplicas(1)) // a grant counts once a replica has it: no failover loses it
	if err != nil {
		slog.Error("a setting is wrong", "error", err)
		return
	}
	defer queue.Close()
}

// Sentinels: the client asks them which server is the master.
func ExampleNew_sentinel() {
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName:    "mymaster",
		SentinelAddrs: []string{"sentinel-0:26379", "sentinel-1:26379", "sentinel-2:26379"},
		Password:      os.Getenv("REDIS_PASSWORD"),
	})
	defer client.Close()
	queue, err := redisqueue.New(client, redisqueue.WithApp("1234567890"))
	if err != nil {
		slog.Error("a setting is wrong", "error", err)
		return
	}
	defer queue.Close()
}

// Several bots share one Redis, and one client: each has a queue of its own, with
// its own lines and its own budget.
func ExampleWithApp() {
	client := redis.NewClient(&redis.Options{Addr: "redis:6379"})
	defer client.Close()
	for app, token := range map[string]string{"1234567890": os.Getenv("MUSIC_TOKEN"), "9876543210": os.Getenv("CHESS_TOKEN")} {
		queue, err := redisqueue.New(client, redisqueue.WithApp(app),
			redisqueue.WithLimitSource(redisqueue.DiscordLimits(nil, token)))
		if err != nil {
			slog.Error("a setting is wrong", "app", app, "error", err)
			return
		}
		defer queue.Close()
	}
}

// Metrics of your own. Package promqueue has those for Prometheus: give
// metrics.Observe to WithObserver.
func ExampleWithObserver() {
	granted, blocked := 0, map[gatewayqueue.Reason]int{}
	observe := func(e gatewayqueue.Event) { // of several goroutines: lock what it writes
		switch e.Kind {
		case gatewayqueue.EventGranted:
			granted++
		case gatewayqueue.EventBlocked:
			if why, ok := e.Err.(*gatewayqueue.BlockedError); ok { //nolint:errorlint // it is not wrapped
				blocked[why.Reason]++
			}
		}
	}
	client := redis.NewClient(&redis.Options{Addr: "redis:6379"})
	defer client.Close()
	queue, err := redisqueue.New(client, redisqueue.WithObserver(observe))
	if err != nil {
		slog.Error("a setting is wrong", "error", err)
		return
	}
	defer queue.Close()
}

// What the whole queue looks like, from any pod, and what stands in the way.
func ExampleRedisQueue_Status() {
	client := redis.NewClient(&redis.Options{Addr: "redis:6379"})
	defer client.Close()
	queue, err := redisqueue.New(client, redisqueue.WithApp("1234567890"))
	if err != nil {
		slog.Error("a setting is wrong", "error", err)
		return
	}
	defer queue.Close()

	status, err := queue.Status(context.Background())
	if err != nil {
		slog.Error("Redis does not answer", "error", err)
		return
	}
	fmt.Println(status.Waiting(), "wait;", status.Budget.Remaining, "of", status.Budget.Total, "are left")
	for _, why := range status.Blocked() {
		fmt.Println(why)
	}
}
