package redisqueue_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// What the whole queue looks like, from any pod, and what stands in the way.
func ExampleRedisQueue_Status() {
	ctx := context.Background()
	client, stop := localRedis()
	defer stop()
	queue, err := redisqueue.New(client, redisqueue.WithFreshStart())
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	permit, err := queue.Acquire(ctx, 3)
	if err != nil {
		panic(err)
	}
	defer func() { _ = permit.Abandon(ctx) }()

	status, err := queue.Status(ctx)
	if err != nil {
		panic(err) // Redis does not answer
	}
	fmt.Println(status.Waiting(), "wait;", status.Budget.Remaining, "of", status.Budget.Total, "are left")
	for _, bucket := range status.Buckets {
		shard, _, _ := strings.Cut(bucket.Holder, "@")
		fmt.Println("bucket", bucket.Bucket, "is closed by shard", shard, "which still dials:", bucket.Permit)
	}
	for _, why := range status.Blocked() {
		fmt.Println(why)
	}
	// Output:
	// 0 wait; 999 of 1000 are left
	// bucket 0 is closed by shard 00003 which still dials: true
}
