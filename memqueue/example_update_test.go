package memqueue_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// Discord's answer to GET /gateway/bot goes into a queue as it is, and may
// replace the limit at any time: those who wait move to the new buckets.
func ExampleQueue_Update() {
	const answer = `{"url": "wss://gateway.discord.gg", "shards": 9, "session_start_limit":
		{"total": 1000, "remaining": 999, "reset_after": 14400000, "max_concurrency": 16}}`

	ctx := context.Background()
	queue, err := memqueue.New(gatewayqueue.DefaultLimit())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer queue.Close()

	var gateway struct {
		SessionStartLimit gatewayqueue.SessionStartLimit `json:"session_start_limit"`
	}
	if err := json.Unmarshal([]byte(answer), &gateway); err != nil {
		fmt.Println(err)
		return
	}
	if err := queue.Update(ctx, gateway.SessionStartLimit); err != nil {
		fmt.Println(err)
		return
	}
	status, err := queue.Status(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(status.Budget.Remaining, "left,", len(status.Buckets), "buckets")
	// Output: 999 left, 16 buckets
}
