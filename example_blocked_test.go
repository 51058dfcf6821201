package gatewayqueue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// A Wait whose context ends says why it has waited, and what to do about it.
func ExampleBlockedError() {
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 0, ResetAfter: time.Hour, MaxConcurrency: 1}
	queue, err := memqueue.New(limit, memqueue.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err = queue.Wait(ctx, 0) // fails at once: the reset is further away
	var blocked *gatewayqueue.BlockedError
	if errors.As(err, &blocked) {
		fmt.Println(blocked.Reason, "for", blocked.Wait.Round(time.Minute))
	}
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// budget for 1h0m0s
	// true
}
