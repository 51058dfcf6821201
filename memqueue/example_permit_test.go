package memqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// A shard that still has to dial holds a permit: what it does with it decides what is
// spent, and when the window starts. Identify does the same in one call.
func ExampleQueue_Acquire() {
	ctx := context.Background()
	queue, err := memqueue.New(gatewayqueue.DefaultLimit())
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	permit, err := queue.Acquire(ctx, 0)
	if err != nil {
		panic(err)
	}
	// The dial fails: slot and unit go back, and the next attempt need not wait.
	if err := permit.Abandon(ctx); err != nil {
		panic(err)
	}
	permit, err = queue.Acquire(ctx, 0)
	if err != nil {
		panic(err)
	}
	fmt.Println("in time:", time.Now().Before(permit.Deadline())) // look right before IDENTIFY
	fmt.Println("sent:", permit.Identified(ctx))                  // right after it: the window starts now
	status, err := queue.Status(ctx)
	fmt.Println(status.Budget.Remaining, err)
	// Output:
	// in time: true
	// sent: <nil>
	// 999 <nil>
}
