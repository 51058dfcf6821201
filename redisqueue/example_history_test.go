package redisqueue_test

import (
	"context"
	"fmt"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// What all pods granted in the last 24 hours, by minutes. A minute is told when it
// is over, so there is nothing yet when a bot has just started.
func ExampleRedisQueue_History() {
	ctx := context.Background()
	client, stop := localRedis()
	defer stop()
	queue, err := redisqueue.New(client, redisqueue.WithFreshStart(), redisqueue.WithHistory())
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	minutes, err := queue.History(ctx)
	if err != nil {
		panic(err)
	}
	for _, m := range minutes {
		fmt.Println(m.Start, m.Granted, "granted, half of them within", m.P50, "and", m.Remaining, "are left")
	}
	fmt.Println(len(minutes), "minutes with grants")
	// Output: 0 minutes with grants
}
