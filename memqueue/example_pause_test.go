package memqueue_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// An operator stops the grants, and resumes them. Those who wait keep their places.
func ExampleQueue_Pause() {
	ctx := context.Background()
	queue, err := memqueue.New(gatewayqueue.DefaultLimit(),
		memqueue.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	if err := queue.Pause(ctx, gatewayqueue.Order{Who: "alice", Why: "Discord is down"}); err != nil {
		panic(err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	var blocked *gatewayqueue.BlockedError
	if errors.As(queue.Wait(short, 0), &blocked) {
		fmt.Println(blocked.Reason)
	}
	if err := queue.Resume(ctx, gatewayqueue.Order{Who: "alice", Why: "it is up again"}); err != nil {
		panic(err)
	}
	fmt.Println(queue.Wait(ctx, 0))
	// Output:
	// paused
	// <nil>
}
