package memqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// What the queue looks like, and what stands in the way.
func ExampleQueue_Status() {
	ctx := context.Background()
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1, ResetAfter: time.Hour, MaxConcurrency: 2}
	queue, err := memqueue.New(limit)
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
	for _, bucket := range status.Buckets {
		fmt.Println("bucket", bucket.Bucket, "closed:", bucket.Closed > 0, "waiting:", bucket.Waiting)
	}
	fmt.Println(status.Budget.Remaining, "of", status.Budget.Total, "left")
	for _, why := range status.Blocked() {
		fmt.Println(why.Reason)
	}
	// Output:
	// bucket 0 closed: true waiting: 0
	// bucket 1 closed: false waiting: 0
	// 0 of 1000 left
	// budget
}
