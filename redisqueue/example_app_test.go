package redisqueue_test

import (
	"context"
	"fmt"

	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Several bots share one Redis, and one client: each has a queue of its own, with
// its own lines and its own budget. WithPod names this process in both.
func ExampleWithApp() {
	client, stop := localRedis()
	defer stop()
	for _, app := range []string{"1234567890", "9876543210"} {
		queue, err := redisqueue.New(client, redisqueue.WithApp(app), redisqueue.WithPod("web-1"), redisqueue.WithFreshStart())
		if err != nil {
			panic(err)
		}
		defer queue.Close()
		if err := queue.Wait(context.Background(), 0); err != nil { // neither waits for the other
			panic(err)
		}
		status, err := queue.Status(context.Background())
		if err != nil {
			panic(err)
		}
		fmt.Println(app, "has", status.Budget.Remaining, "left")
	}
	// Output:
	// 1234567890 has 999 left
	// 9876543210 has 999 left
}
