package memqueue_test

import (
	"context"
	"fmt"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// What the queue granted in the last 24 hours, by minutes. The one that goes on is
// left out, so there is nothing yet when a bot has just started.
func ExampleQueue_History() {
	queue, err := memqueue.New(gatewayqueue.DefaultLimit(), memqueue.WithHistory())
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	minutes, err := queue.History(context.Background())
	if err != nil {
		panic(err)
	}
	for _, m := range minutes {
		fmt.Println(m.Start, m.Granted, "granted, half of them within", m.P50, "and", m.Remaining, "are left")
	}
	fmt.Println(len(minutes), "minutes with grants")
	// Output: 0 minutes with grants
}
