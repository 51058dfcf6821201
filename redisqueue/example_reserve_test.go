package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Limits by hand, and units that are never granted: what Discord counts and the
// queue does not see, such as a bot that somebody starts on a laptop.
func ExampleWithReserve() {
	client, stop := localRedis()
	defer stop()
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 51, ResetAfter: time.Hour, MaxConcurrency: 4}
	queue, err := redisqueue.New(client, redisqueue.WithFreshStart(),
		redisqueue.WithLimit(limit), redisqueue.WithReserve(50))
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	for shard := range 2 { // of two buckets
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		err := queue.Wait(ctx, shard)
		cancel()
		var blocked *gatewayqueue.BlockedError
		if errors.As(err, &blocked) {
			fmt.Println("shard", shard, "waits for the", blocked.Reason)
			continue
		}
		fmt.Println("shard", shard, err)
	}
	// Output:
	// shard 0 <nil>
	// shard 1 waits for the budget
}
