package memqueue_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// A process that follows another one, which may have granted until now, keeps every
// bucket closed for a window at first.
func ExampleWithHold() {
	queue, err := memqueue.New(gatewayqueue.DefaultLimit(),
		memqueue.WithHold(gatewayqueue.IdentifyDelay+gatewayqueue.GrantMargin))
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err = queue.Wait(ctx, 0) // fails at once: it would take longer than its context lasts
	var blocked *gatewayqueue.BlockedError
	fmt.Println(errors.As(err, &blocked), blocked.Reason)
	// Output: true hold
}
