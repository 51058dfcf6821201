package memqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// A bot of one process whose IDENTIFY reaches Discord up to 100 ms after the grant,
// or at once: what varies is the margin.
func ExampleWithMargin() {
	queue, err := memqueue.New(gatewayqueue.DefaultLimit(),
		memqueue.WithWindow(100*time.Millisecond),      // only in tests: Discord's is 5 s
		memqueue.WithMargin(100*time.Millisecond),      // after a grant of Wait
		memqueue.WithPermitMargin(20*time.Millisecond)) // after IDENTIFY under a permit
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	start := time.Now()
	for shard := range 2 {
		if err := queue.Wait(context.Background(), shard); err != nil {
			panic(err)
		}
	}
	fmt.Println("window and margin:", time.Since(start) >= 200*time.Millisecond)
	// Output: window and margin: true
}
