package redisqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// New limits, as they were heard of outside of a limit source. They count for all pods;
// no bucket opens before every window of the old ones is over.
func ExampleRedisQueue_Update() {
	ctx := context.Background()
	client, stop := localRedis()
	defer stop()
	queue, err := redisqueue.New(client, redisqueue.WithFreshStart())
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	err = queue.Update(ctx, gatewayqueue.SessionStartLimit{Total: 2000, Remaining: 1990, ResetAfter: 20 * time.Hour, MaxConcurrency: 16})
	if err != nil {
		panic(err)
	}
	status, err := queue.Status(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(status.Budget.Remaining, "of", status.Budget.Total, "in", len(status.Buckets), "buckets")
	// Output: 1990 of 2000 in 16 buckets
}
