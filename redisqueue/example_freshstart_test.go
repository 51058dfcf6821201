package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// A Redis with nothing in it looks like one that has just lost everything, so the
// first start closes every bucket for 10 s. A test knows better.
func ExampleWithFreshStart() {
	client, stop := localRedis()
	defer stop()
	start := func(app string, more ...redisqueue.Option) error {
		queue, err := redisqueue.New(client, append(more, redisqueue.WithApp(app))...)
		if err != nil {
			return err
		}
		defer queue.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		return queue.Wait(ctx, 0)
	}
	var blocked *gatewayqueue.BlockedError
	if err := start("1234567890"); errors.As(err, &blocked) {
		fmt.Println("as in a deployment:", blocked.Reason)
	}
	fmt.Println("in a test:", start("9876543210", redisqueue.WithFreshStart()))
	// Output:
	// as in a deployment: hold
	// in a test: <nil>
}
