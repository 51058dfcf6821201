package memqueue_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// The limits as Discord says them now: ask is timed, so that what was granted
// meanwhile is not counted twice.
func ExampleQueue_Refresh() {
	ctx := context.Background()
	queue, err := memqueue.New(gatewayqueue.DefaultLimit())
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	ask := func(context.Context) (gatewayqueue.SessionStartLimit, error) { // such as redisqueue.DiscordLimits(nil, token)
		return gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 400, ResetAfter: 9 * time.Hour, MaxConcurrency: 1}, nil
	}
	if err := queue.Refresh(ctx, ask); err != nil {
		panic(err)
	}
	status, err := queue.Status(ctx)
	fmt.Println(status.Budget.Remaining, err)
	// Output: 400 <nil>
}
