package gatewayqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/queuetest"
)

func TestInMemoryQueueConforms(t *testing.T) {
	queuetest.Run(t, queuetest.Harness{
		New: func(t testing.TB, limit gatewayqueue.SessionStartLimit) queuetest.Queue {
			q, err := gatewayqueue.NewInMemory(limit)
			if err != nil {
				t.Fatal(err)
			}
			return q
		},
		Unlimited: func(t testing.TB) queuetest.Queue {
			q, err := gatewayqueue.NewUnlimited()
			if err != nil {
				t.Fatal(err)
			}
			return q
		},
		Refresh: func(t testing.TB, q queuetest.Queue, limit gatewayqueue.SessionStartLimit) {
			err := q.(*gatewayqueue.InMemoryQueue).Refresh(t.Context(), func(context.Context) (gatewayqueue.SessionStartLimit, error) { return limit, nil })
			if err != nil {
				t.Fatal(err)
			}
		},
		Virtual:      true,
		Window:       gatewayqueue.IdentifyDelay,
		Margin:       gatewayqueue.GrantMargin,
		PermitMargin: gatewayqueue.IdentifiedMargin,
	})
}

// In real time too, because timers that are never late hide mistakes.
func TestInMemoryQueueConformsInRealTime(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const window, margin = time.Second, 250 * time.Millisecond // a busy machine is late by tenths of a second
	queuetest.Run(t, queuetest.Harness{
		New: func(t testing.TB, limit gatewayqueue.SessionStartLimit) queuetest.Queue {
			q, err := gatewayqueue.NewInMemory(limit, gatewayqueue.WithWindow(window),
				gatewayqueue.WithMargin(margin), gatewayqueue.WithPermitMargin(margin))
			if err != nil {
				t.Fatal(err)
			}
			return q
		},
		Window:       window,
		Margin:       margin,
		PermitMargin: margin,
		Slack:        window / 10,
	})
}
