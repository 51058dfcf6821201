package memqueue_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// Nothing waits in silence: whatever keeps a Wait waiting is in the log, in the
// error when its context ends, in Status, and in an event.
func TestQueue_EveryReasonIsSaidEverywhere(t *testing.T) {
	limit := func(total, remaining int) gatewayqueue.SessionStartLimit {
		return gatewayqueue.SessionStartLimit{Total: total, Remaining: remaining, ResetAfter: time.Hour, MaxConcurrency: 1}
	}
	for name, row := range map[string]struct {
		reason  gatewayqueue.Reason
		limit   gatewayqueue.SessionStartLimit
		options []memqueue.Option
		text    string
	}{
		"a hold":                    {gatewayqueue.ReasonHold, limit(1000, 1000), []memqueue.Option{memqueue.WithHold(time.Hour)}, "every bucket is held closed"},
		"a budget that is used up":  {gatewayqueue.ReasonBudget, limit(1000, 0), nil, "the budget is used up until its reset"},
		"limits that allow nothing": {gatewayqueue.ReasonLimits, limit(0, 0), nil, "the total is 0"},
	} {
		for _, end := range []string{"cancelled", "deadline"} {
			t.Run(name+", "+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var log bytes.Buffer
					var events []gatewayqueue.Event
					queue, err := memqueue.New(row.limit, append(row.options,
						memqueue.WithLogger(slog.New(slog.NewTextHandler(&log, nil))),
						memqueue.WithObserver(func(e gatewayqueue.Event) {
							if e.Kind == gatewayqueue.EventBlocked {
								events = append(events, e)
							}
						}))...)
					require.NoError(t, err)
					defer queue.Close()
					wait := func() error {
						ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
						if end == "cancelled" {
							ctx, cancel = context.WithCancel(t.Context())
							time.AfterFunc(5*time.Second, cancel)
						}
						defer cancel()
						return queue.Wait(ctx, 0)
					}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					go queue.Wait(ctx, 1) //nolint:errcheck // it waits to the end
					synctest.Wait()
					for range 3 {
						err = wait()
						var blocked *gatewayqueue.BlockedError
						require.ErrorAs(t, err, &blocked)
						require.Equal(t, row.reason, blocked.Reason)
						require.ErrorContains(t, err, row.text)
						require.NotContains(t, err.Error(), "\n")
					}
					require.Equal(t, 1, strings.Count(log.String(), "nothing is granted for now"), log.String())
					require.Contains(t, log.String(), row.text)
					require.Len(t, events, 1)
					require.ErrorContains(t, events[0].Err, row.text)
					status, err := queue.Status(t.Context())
					require.NoError(t, err)
					require.Len(t, status.Blocked(), 1)
					require.Equal(t, row.reason, status.Blocked()[0].Reason)
					require.ErrorContains(t, status.Blocked()[0], row.text)
					time.Sleep(time.Minute)
					_ = wait()
					require.LessOrEqual(t, strings.Count(log.String(), "nothing is granted for now"), 2, "about once a minute: %s", log.String())
				})
			})
		}
	}
}

// A line is normal: no word in the log, and its bucket in the error.
func TestQueue_ALineIsNamedInTheErrorOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		queue, err := memqueue.New(gatewayqueue.DefaultLimit(), memqueue.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
		require.NoError(t, err)
		defer queue.Close()
		require.NoError(t, queue.Wait(t.Context(), 0))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = queue.Wait(ctx, 1)
		require.EqualError(t, err, "gatewayqueue: no grant in time: bucket 0 is closed after an identify, for 5.25s more, and the caller's deadline is sooner")
		require.Empty(t, log.String())
		status, err := queue.Status(t.Context())
		require.NoError(t, err)
		require.Empty(t, status.Blocked())
	})
}
