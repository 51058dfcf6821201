package redisqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// A shard that identifies over and over, such as one in a crash loop, must back off
// before it spends the budget of all others.
func ExampleWithBackoff() {
	ctx := context.Background()
	client, stop := localRedis()
	defer stop()
	queue, err := redisqueue.New(client, redisqueue.WithFreshStart(),
		redisqueue.WithBackoff(2), // 20 is the default
		redisqueue.WithWindow(50*time.Millisecond), redisqueue.WithMargin(10*time.Millisecond))
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	for range 2 {
		if err := queue.Wait(ctx, 7); err != nil {
			panic(err)
		}
	}
	status, err := queue.Status(ctx)
	if err != nil {
		panic(err)
	}
	for shard := range status.Backoffs {
		fmt.Println("shard", shard, "has identified", status.Spent[shard], "times, and backs off")
	}
	// Output: shard 7 has identified 2 times, and backs off
}
