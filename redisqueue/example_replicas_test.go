package redisqueue_test

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// A grant counts once both replicas have it, so that no failover loses it. Give
// every pod and server the same number: that of all replicas.
func ExampleWithReplicas() {
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName:    "mymaster",
		SentinelAddrs: []string{"sentinel-0:26379", "sentinel-1:26379", "sentinel-2:26379"},
	})
	defer client.Close()
	queue, err := redisqueue.New(client, redisqueue.WithApp("1234567890"), redisqueue.WithReplicas(2))
	fmt.Println(err, queue.Close())
	// Output: <nil> <nil>
}
