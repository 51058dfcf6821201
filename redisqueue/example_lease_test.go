package redisqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Leases say how long Redis keeps what is of a pod that has died: its bucket for a
// permit, its places in line. Permits are renewed while the pod lives.
func ExampleWithPermitLease() {
	client, stop := localRedis()
	defer stop()
	queue, err := redisqueue.New(client, redisqueue.WithFreshStart(),
		redisqueue.WithPermitLease(30*time.Second),        // for a network that is often away for long
		redisqueue.WithPermitMargin(100*time.Millisecond), // added to the window after IDENTIFY
		redisqueue.WithPodLease(10*time.Second))           // dead pods hold others up for so long
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	permit, err := queue.Acquire(context.Background(), 0)
	if err != nil {
		panic(err)
	}
	defer func() { _ = permit.Abandon(context.Background()) }()
	good := time.Until(permit.Deadline()) // the lease, less a window and its margin
	fmt.Println(good > 20*time.Second, good < 25*time.Second)
	// Output: true true
}
