package redisqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// A bot whose IDENTIFY reaches Discord up to 100 ms after the grant, or at once: what
// varies is the margin. The next shard of the bucket comes window and margin later.
func ExampleWithMargin() {
	client, stop := localRedis()
	defer stop()
	queue, err := redisqueue.New(client, redisqueue.WithFreshStart(),
		redisqueue.WithWindow(200*time.Millisecond), // only in tests: Discord's is 5 s
		redisqueue.WithMargin(100*time.Millisecond))
	if err != nil {
		panic(err)
	}
	defer queue.Close()

	var granted []time.Time
	for shard := range 2 {
		if err := queue.Wait(context.Background(), shard); err != nil {
			panic(err)
		}
		granted = append(granted, time.Now())
	}
	fmt.Println("apart:", granted[1].Sub(granted[0]) > 290*time.Millisecond)
	// Output: apart: true
}
