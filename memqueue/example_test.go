package memqueue_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// Four shards in two buckets: two windows, whatever the shards do. (The window
// is short here so that the example is quick; leave it out for Discord.)
func Example() {
	queue, err := memqueue.New(
		gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, MaxConcurrency: 2},
		memqueue.WithWindow(100*time.Millisecond),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer queue.Close()

	start := time.Now()
	var shards sync.WaitGroup
	for id := range 4 {
		shards.Go(func() {
			if err := queue.Wait(context.Background(), id); err != nil {
				fmt.Println(err)
			}
			// Send IDENTIFY now.
		})
	}
	shards.Wait()
	fmt.Println("all after one window:", time.Since(start) >= 100*time.Millisecond)
	// Output: all after one window: true
}
