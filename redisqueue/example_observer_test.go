package redisqueue_test

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Metrics of your own. Package promqueue has those for Prometheus: give
// metrics.Observe to WithObserver.
func ExampleWithObserver() {
	var granted, spent atomic.Int64 // an observer is called by several goroutines
	observe := func(e gatewayqueue.Event) {
		switch e.Kind {
		case gatewayqueue.EventGranted:
			granted.Add(1)
		case gatewayqueue.EventIdentified:
			spent.Add(1)
		}
	}
	client, stop := localRedis()
	defer stop()
	queue, err := redisqueue.New(client, redisqueue.WithFreshStart(), redisqueue.WithObserver(observe))
	if err != nil {
		panic(err)
	}
	permit, err := queue.Acquire(context.Background(), 0)
	if err != nil {
		panic(err)
	}
	if err := permit.Identified(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println(queue.Close(), granted.Load(), "granted,", spent.Load(), "identified")
	// Output: <nil> 1 granted, 1 identified
}
