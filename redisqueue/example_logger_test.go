package redisqueue_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Why nothing is granted, and what has changed, as a line of your log. By default
// it goes to slog.Default(); slog.New(slog.DiscardHandler) is silence.
func ExampleWithLogger() {
	client, stop := localRedis()
	defer stop()
	var log bytes.Buffer // os.Stderr in a bot
	handler := slog.NewTextHandler(&log, &slog.HandlerOptions{
		Level: slog.LevelWarn,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "pod" || a.Key == "for" { // they differ each time
				return slog.Attr{}
			}
			return a
		},
	})
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 10, ResetAfter: time.Hour, MaxConcurrency: 1}
	queue, err := redisqueue.New(client, redisqueue.WithFreshStart(), redisqueue.WithLimit(limit),
		redisqueue.WithLogger(slog.New(handler)))
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	fmt.Println("granted:", queue.Wait(ctx, 0) == nil, queue.Close())
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, "reason=") { // and not what there is to say of a Redis for tests
			fmt.Print(line)
		}
	}
	// Output:
	// granted: false <nil>
	// level=WARN msg="nothing is granted for now" app=default reason=budget why="the budget is used up until its reset"
}
