package disgoqueue_test

import (
	"context"
	"fmt"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/disgoqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// What disgo does with a limiter. In a bot, give it to disgo with
// sharding.WithIdentifyRateLimiter, and its dialer with gateway.WithDialer.
func Example() {
	ctx := context.Background()
	queue, err := memqueue.New(gatewayqueue.DefaultLimit()) // redisqueue.New for more than one process
	if err != nil {
		fmt.Println(err)
		return
	}
	defer queue.Close()
	limiter := disgoqueue.New(queue)
	defer limiter.Close(ctx)

	if err := limiter.Wait(ctx, 0); err != nil { // disgo asks
		fmt.Println(err)
		return
	}
	_, err = limiter.DialContext(ctx, "tcp", "127.0.0.1:1") // disgo dials
	fmt.Println("connected:", err == nil)
	limiter.Unlock(0) // disgo gives up

	err = limiter.Wait(ctx, 1) // and the next shard need not wait
	fmt.Println(err)
	limiter.Unlock(1)
	// Output:
	// connected: false
	// <nil>
}
