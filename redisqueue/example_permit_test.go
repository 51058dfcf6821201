package redisqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// A shard that still has to dial holds a permit. What it does with it decides what
// is spent, and when the window starts.
func ExampleRedisQueue_Acquire() {
	ctx := context.Background()
	client, stop := localRedis()
	defer stop()
	queue, err := redisqueue.New(client, redisqueue.WithFreshStart())
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	left := func() int {
		status, err := queue.Status(ctx)
		if err != nil {
			panic(err)
		}
		return status.Budget.Remaining
	}

	permit, err := queue.Acquire(ctx, 0)
	if err != nil {
		panic(err)
	}
	fmt.Println("while it dials:", left())
	if err := permit.Abandon(ctx); err != nil { // the dial has failed: slot and unit go back
		panic(err)
	}
	fmt.Println("given back:", left())

	permit, err = queue.Acquire(ctx, 0) // at once
	if err != nil {
		panic(err)
	}
	if time.Now().Before(permit.Deadline()) { // look right before sending IDENTIFY
		err = permit.Identified(ctx) // right after it: the window starts now
	}
	fmt.Println("identified:", left(), err)
	// Output:
	// while it dials: 999
	// given back: 1000
	// identified: 999 <nil>
}
