package httpqueue_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
)

func TestWithWaitMargin_WindowBeginsAsMuchLater(t *testing.T) {
	for name, c := range map[string]struct{ client, server, want time.Duration }{
		"none":              {0, 0, 200 * time.Millisecond},
		"the client's":      {time.Second, 0, 1200 * time.Millisecond},
		"the server's":      {time.Second, 3 * time.Second, 3 * time.Second},
		"more than a lease": {20 * time.Second, 0, 20200 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				queue := inMemory(t, full(1))
				s := serve(t, queue, httpqueue.WithGrantMargin(c.server))
				client := s.dial(t, httpqueue.WithWaitMargin(c.client))
				require.NoError(t, client.Wait(t.Context(), 0))
				status, err := queue.Status(t.Context())
				require.NoError(t, err)
				require.InDelta(t, gatewayqueue.IdentifyDelay+c.want, status.Buckets[0].Closed, float64(200*time.Millisecond))
			})
		})
	}
	for _, d := range []time.Duration{-1, time.Minute} {
		_, err := httpqueue.NewClient("http://queue", httpqueue.WithWaitMargin(d))
		require.ErrorIs(t, err, gatewayqueue.ErrInvalid)
	}
}
