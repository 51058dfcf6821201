package redisqueue_test

import (
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Sentinels: the client asks them which server is the master.
func ExampleNew_sentinel() {
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName:    "mymaster",
		SentinelAddrs: []string{"sentinel-0:26379", "sentinel-1:26379", "sentinel-2:26379"},
		Password:      os.Getenv("REDIS_PASSWORD"),
	})
	defer client.Close()
	queue, err := redisqueue.New(client, redisqueue.WithApp("1234567890"))
	fmt.Println(err, queue.Close())
	// Output: <nil> <nil>
}
