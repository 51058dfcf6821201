package gatewayqueue_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// A shard that still has to dial holds a permit. If the dial fails, slot and
// unit go back at once, so the next attempt need not wait.
func ExampleIdentify() {
	ctx := context.Background()
	queue, err := memqueue.New(gatewayqueue.DefaultLimit())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer queue.Close()

	attempts := 0
	dial := func(context.Context) error {
		if attempts++; attempts == 1 {
			return errors.New("connection refused")
		}
		return nil // connected, and HELLO received
	}
	identify := func(context.Context) error {
		fmt.Println("IDENTIFY")
		return nil
	}
	for {
		err := gatewayqueue.Identify(ctx, queue, 0, dial, identify)
		if err == nil {
			break
		}
		fmt.Println(err)
	}
	status, err := queue.Status(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("spent:", status.Budget.Total-status.Budget.Remaining)
	// Output:
	// connection refused
	// IDENTIFY
	// spent: 1
}
