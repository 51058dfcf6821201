package memqueue_test

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// Why nothing is granted, as a line of your log. By default it goes to
// slog.Default(); slog.New(slog.DiscardHandler) is silence.
func ExampleWithLogger() {
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "for" { // they differ each time
				return slog.Attr{}
			}
			return a
		},
	})
	limit := gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 0, ResetAfter: time.Hour, MaxConcurrency: 1}
	queue, err := memqueue.New(limit, memqueue.WithLogger(slog.New(handler)))
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	_ = queue.Wait(ctx, 0)
	// Output:
	// level=WARN msg="nothing is granted for now" reason=budget why="the budget is used up until its reset"
}
