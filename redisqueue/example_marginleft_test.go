package redisqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// A caller that starts a program after the grant needs a known time for that: of
// the margin of 1 s, Wait leaves it 650 ms or more.
func ExampleWithMarginLeft() {
	client, stop := localRedis()
	defer stop()
	queue, err := redisqueue.New(client, redisqueue.WithFreshStart(),
		redisqueue.WithMargin(time.Second), redisqueue.WithMarginLeft(650*time.Millisecond))
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	fmt.Println(queue.Wait(context.Background(), 0)) // then start the program
	// Output: <nil>
}
