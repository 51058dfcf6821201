// A connection that dies before its IDENTIFY has left, and a limiter that is
// closed before: nothing is sent, and nothing is spent.

package disgoqueue_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/disgoqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn/conntest"
)

func TestAnIdentify_IsNotWrittenIntoADeadConnection(t *testing.T) {
	for _, death := range conntest.Deaths {
		for _, reads := range []bool{false, true} {
			name := death.Name
			switch {
			case death.Held, !reads && !death.Unread:
				continue // nobody knows yet
			case reads:
				name += ", which was read"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				queue := newQueue(t)
				limiter := disgoqueue.New(queue)
				require.NoError(t, limiter.Wait(t.Context(), 0))
				ours, theirs := conntest.Pair(t, limiter.DialContext)
				death.Die(ours, theirs)
				if reads {
					_ = ours.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
					_, _ = io.Copy(io.Discard, ours)
				} else {
					time.Sleep(50 * time.Millisecond)
				}
				_, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
				assert.Error(t, err)
				limiter.Unlock(0)
				assert.False(t, theirs.SeesIdentify())
				limiter.Close(t.Context())
				assert.Equal(t, 1000, remaining(t, queue), "no unit is gone")
				ctx, cancel := context.WithTimeout(t.Context(), gatewayqueue.IdentifyDelay/2)
				defer cancel()
				assert.NoError(t, queue.Wait(ctx, 1), "no window is gone")
			})
		}
	}
}

func TestAnIdentify_DoesNotLeaveAfterClose(t *testing.T) {
	queue := newQueue(t)
	limiter := disgoqueue.New(queue)
	require.NoError(t, limiter.Wait(t.Context(), 0))
	ours, theirs := conntest.Pair(t, limiter.DialContext)
	limiter.Close(t.Context())
	_, err := ours.Write(conntest.ClientFrame(0x81, conntest.IdentifyText))
	assert.ErrorIs(t, err, gatewayqueue.ErrClosed)
	assert.False(t, theirs.SeesIdentify())
	limiter.Unlock(0)
	limiter.Close(t.Context())
	assert.Equal(t, 1000, remaining(t, queue))
}
