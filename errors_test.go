package gatewayqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
)

func TestErrorsSayWhatToKnowAndAreWhatTheyShould(t *testing.T) {
	deadline := &gatewayqueue.DeadlineError{Wait: 1234567 * time.Microsecond, Reason: "the bucket's window"}
	require.ErrorIs(t, deadline, context.DeadlineExceeded)
	require.EqualError(t, deadline, "gatewayqueue: the bucket's window lasts 1.235s more, beyond the context's deadline")

	exhausted := &gatewayqueue.ExhaustedError{ResetAfter: 90*time.Minute + 400*time.Millisecond}
	require.ErrorIs(t, exhausted, gatewayqueue.ErrExhausted)
	require.EqualError(t, exhausted, "gatewayqueue: the budget is exhausted: it is full again in 1h30m0s")

	invalid := gatewayqueue.CheckShard(-1)
	require.ErrorIs(t, invalid, gatewayqueue.ErrInvalid)
	require.EqualError(t, invalid, "gatewayqueue: shard ID is -1: want 0 or more")
	require.NoError(t, gatewayqueue.CheckShard(0))
}
