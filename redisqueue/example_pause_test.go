package redisqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// An operator stops the grants of all pods, and resumes them. Those who wait keep
// their places.
func ExampleRedisQueue_Pause() {
	ctx := context.Background()
	client, stop := localRedis()
	defer stop()
	queue, err := redisqueue.New(client, redisqueue.WithFreshStart())
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	if err := queue.Pause(ctx, gatewayqueue.Order{Who: "alice", Why: "Discord is down", For: time.Hour}); err != nil {
		panic(err)
	}
	status, err := queue.Status(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println("paused by", status.Pause.Who, "because", status.Pause.Why)

	if err := queue.Resume(ctx, gatewayqueue.Order{Who: "bob", Why: "it is up again"}); err != nil {
		panic(err)
	}
	fmt.Println("granted:", queue.Wait(ctx, 0) == nil)
	orders, err := queue.Audit(ctx) // the latest first
	fmt.Println(len(orders), "orders, the last of", orders[0].Who, err)
	// Output:
	// paused by alice because Discord is down
	// granted: true
	// 2 orders, the last of bob <nil>
}
