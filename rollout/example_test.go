package rollout_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/rollout"
)

// Before a deploy: may 160 shards identify now, and what is left for those that crash?
func ExampleNewPlan() {
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 450, ResetAfter: 4 * time.Hour, MaxConcurrency: 16}
	queue, err := memqueue.New(limit)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer queue.Close()

	status, err := queue.Status(context.Background()) // of a RedisQueue, or of a server (httpqueue.Client), as well
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, shards := range []int{160, 300} {
		plan, err := rollout.NewPlan(status, rollout.Request{Shards: shards})
		switch {
		case err != nil:
			fmt.Println(err)
		case plan.OK:
			fmt.Println("yes:", plan.Takes, "and", plan.Left, "left")
		default:
			fmt.Println("no:", plan.Why, "- next in", plan.Next.Sub(status.Time).Round(time.Minute))
		}
	}
	// Output:
	// yes: 47.25s and 290 left
	// no: only 150 would be left of the 250 that are kept for crashes - next in 3h59m0s
}
