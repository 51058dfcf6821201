package redisqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// The limits are asked of Discord, by one pod at a time. Any function will do: here
// it stands for a service that knows the limits of many bots.
func ExampleWithLimitSource() {
	ctx := context.Background()
	client, stop := localRedis()
	defer stop()
	source := func(context.Context) (gatewayqueue.SessionStartLimit, error) {
		return gatewayqueue.SessionStartLimit{Total: 2000, Remaining: 1500, ResetAfter: 10 * time.Hour, MaxConcurrency: 16}, nil
	}
	queue, err := redisqueue.New(client, redisqueue.WithFreshStart(),
		redisqueue.WithLimitSource(source), redisqueue.WithRefresh(time.Hour)) // every hour while shards wait
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	if err := queue.Wait(ctx, 0); err != nil {
		panic(err)
	}
	status, err := queue.Status(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(status.Budget.Remaining, "of", status.Budget.Total, "in", len(status.Buckets), "buckets")
	// Output: 1499 of 2000 in 16 buckets
}
