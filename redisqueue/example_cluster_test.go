package redisqueue_test

import (
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// A Redis Cluster: some of its nodes are enough. All keys of a bot are on one node.
func ExampleNew_cluster() {
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:    []string{"redis-0:6379", "redis-1:6379", "redis-2:6379"},
		Password: os.Getenv("REDIS_PASSWORD"),
	})
	defer client.Close()
	queue, err := redisqueue.New(client, redisqueue.WithApp("1234567890"))
	fmt.Println(err, queue.Close())
	// Output: <nil> <nil>
}
