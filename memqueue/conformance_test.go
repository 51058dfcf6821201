package memqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/queuetest"
)

func TestQueueConforms(t *testing.T) {
	queuetest.Run(t, queuetest.Harness{
		New: func(t testing.TB, limit gatewayqueue.SessionStartLimit) queuetest.Queue {
			q, err := memqueue.New(limit)
			if err != nil {
				t.Fatal(err)
			}
			return q
		},
		Unlimited: func(t testing.TB) queuetest.Queue {
			q, err := memqueue.NewUnlimited()
			if err != nil {
				t.Fatal(err)
			}
			return q
		},
		Refresh: func(t testing.TB, q queuetest.Queue, limit gatewayqueue.SessionStartLimit) {
			err := q.(*memqueue.Queue).Refresh(t.Context(), func(context.Context) (gatewayqueue.SessionStartLimit, error) { return limit, nil })
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
func TestQueueConformsInRealTime(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	const window, margin = time.Second, 250 * time.Millisecond // a busy machine is late by tenths of a second
	queuetest.Run(t, queuetest.Harness{
		New: func(t testing.TB, limit gatewayqueue.SessionStartLimit) queuetest.Queue {
			q, err := memqueue.New(limit, memqueue.WithWindow(window),
				memqueue.WithMargin(margin), memqueue.WithPermitMargin(margin))
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
