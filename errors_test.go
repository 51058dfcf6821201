package gatewayqueue_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
)

func TestErrorsSayWhatToKnowAndAreWhatTheyShould(t *testing.T) {
	deadline := &gatewayqueue.DeadlineError{Wait: 1234567 * time.Microsecond, Reason: "the bucket's window"}
	require.ErrorIs(t, deadline, context.DeadlineExceeded)
	require.EqualError(t, deadline, "gatewayqueue: no grant in time: the bucket's window, for 1.235s more, and the caller's deadline is sooner")
	require.NotErrorAs(t, deadline, new(*gatewayqueue.BlockedError), "a server may not have said in a word what it is")
	deadline.Kind = gatewayqueue.ReasonHold
	var blocked *gatewayqueue.BlockedError
	require.ErrorAs(t, deadline, &blocked)
	require.Equal(t, gatewayqueue.ReasonHold, blocked.Reason)
	require.ErrorIs(t, deadline, context.DeadlineExceeded)

	away := errors.New("dial tcp: connection refused")
	blocked = &gatewayqueue.BlockedError{Reason: gatewayqueue.ReasonStore, Wait: time.Second, Text: "Redis does not answer", Cure: "start it", Err: away}
	require.ErrorIs(t, blocked, away)
	require.EqualError(t, blocked, "gatewayqueue: not granted yet: Redis does not answer, for 1s more (start it): dial tcp: connection refused")

	exhausted := &gatewayqueue.ExhaustedError{ResetAfter: 90*time.Minute + 400*time.Millisecond}
	require.ErrorIs(t, exhausted, gatewayqueue.ErrExhausted)
	require.EqualError(t, exhausted, "gatewayqueue: the budget is exhausted: it is full again in 1h30m0s")

	invalid := gatewayqueue.CheckShard(-1)
	require.ErrorIs(t, invalid, gatewayqueue.ErrInvalid)
	require.EqualError(t, invalid, "gatewayqueue: shard ID is -1: want 0 or more")
	require.NoError(t, gatewayqueue.CheckShard(0))
}
