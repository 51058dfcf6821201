package gatewayqueue_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// A wait that can't end in time fails at once, and says how long it would have
// been.
func ExampleDeadlineError() {
	queue, err := memqueue.New(gatewayqueue.SessionStartLimit{
		Total: 1000, Remaining: 0, ResetAfter: 3 * time.Hour, MaxConcurrency: 1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer queue.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = queue.Wait(ctx, 0)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	var late *gatewayqueue.DeadlineError
	if errors.As(err, &late) {
		fmt.Println(late.Wait.Round(time.Hour), late.Reason)
	}
	// Output:
	// true
	// 3h0m0s the budget is used up until its reset
}
