package redisqueue_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// A bot that would rather hear of an empty budget than wait for the reset.
func ExampleWithFailExhausted() {
	client, stop := localRedis()
	defer stop()
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 0, ResetAfter: 6 * time.Hour, MaxConcurrency: 1}
	queue, err := redisqueue.New(client, redisqueue.WithFreshStart(), redisqueue.WithLimit(limit), redisqueue.WithFailExhausted())
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	err = queue.Wait(context.Background(), 0)
	var exhausted *gatewayqueue.ExhaustedError
	if errors.As(err, &exhausted) {
		fmt.Println("the budget is full again in", exhausted.ResetAfter.Round(time.Hour))
	}
	// Output: the budget is full again in 6h0m0s
}
