package gatewaytest_test

import (
	"fmt"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

func ExampleJudge() {
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, ResetAfter: gatewayqueue.LimitPeriod, MaxConcurrency: 2}
	judge := gatewaytest.NewJudge(limit, gatewayqueue.IdentifyDelay)

	fmt.Println(judge.Identify(0).Accepted)
	fmt.Println(judge.Identify(1).Accepted, "in a bucket of its own")
	fmt.Println(judge.Identify(2).Early, "in the bucket of shard 0")

	v := judge.Verdict()
	fmt.Println(v.OK(), v.Violations, v.Remaining)
	// Output:
	// true
	// true in a bucket of its own
	// true in the bucket of shard 0
	// false 1 997
}
