package memqueue_test

import (
	"context"
	"fmt"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// Metrics of your own. Package promqueue has those for Prometheus: give
// metrics.Observe to WithObserver.
func ExampleWithObserver() {
	observe := func(e gatewayqueue.Event) { // lock what several goroutines write
		if e.Kind != gatewayqueue.EventBudget { // what is left, after each change of it
			fmt.Println(e.Kind, "shard", e.ShardID)
		}
	}
	queue, err := memqueue.New(gatewayqueue.DefaultLimit(), memqueue.WithObserver(observe))
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	permit, err := queue.Acquire(context.Background(), 7)
	if err != nil {
		panic(err)
	}
	if err := permit.Abandon(context.Background()); err != nil {
		panic(err)
	}
	// Output:
	// waiting shard 7
	// granted shard 7
	// abandoned shard 7
}
