package memqueue_test

import (
	"context"
	"fmt"

	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// For a bot of one shard, and for tests: every shard may identify at once.
func ExampleNewUnlimited() {
	queue, err := memqueue.NewUnlimited()
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	for shard := range 3 {
		fmt.Println(queue.Wait(context.Background(), shard))
	}
	// Output:
	// <nil>
	// <nil>
	// <nil>
}
