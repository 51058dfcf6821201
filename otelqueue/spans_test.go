package otelqueue_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/otelqueue"
)

func TestSpans_OfAShardThatComesUp(t *testing.T) {
	r := record()
	queue := otelqueue.New(onRedis(t), otelqueue.WithTracerProvider(r.provider), otelqueue.WithAttributes(attribute.String("bot", "one")))
	ctx, above := r.provider.Tracer("test").Start(t.Context(), "connect")
	dial := func(context.Context) error { return nil }
	require.NoError(t, gatewayqueue.Identify(ctx, queue, 17, dial, dial))
	above.End()

	acquire, hold := r.span(t, "acquire identify permit"), r.span(t, "hold identify permit")
	assert.Equal(t, above.SpanContext().SpanID(), acquire.Parent.SpanID())
	assert.Equal(t, acquire.SpanContext.SpanID(), hold.Parent.SpanID())
	assert.Equal(t, otelqueue.OutcomeGranted, said(acquire, otelqueue.KeyOutcome))
	assert.Equal(t, otelqueue.OutcomeIdentified, said(hold, otelqueue.KeyOutcome))
	assert.EqualValues(t, 1, said(hold, otelqueue.KeyBucket))
	require.Len(t, hold.Events, 1)
	assert.Equal(t, otelqueue.EventAnnounced, hold.Events[0].Name)
	for _, span := range r.GetSpans()[:2] {
		assert.Equal(t, trace.SpanKindInternal, span.SpanKind)
		assert.EqualValues(t, 17, said(span, otelqueue.KeyShard))
		assert.Equal(t, "one", said(span, "bot"))
		assert.Equal(t, codes.Unset, span.Status.Code)
	}
}

func TestSpans_OfADialThatFails(t *testing.T) {
	r := record()
	refused := errors.New("refused")
	err := gatewayqueue.Identify(t.Context(), r.trace(inMemory(t)), 0, func(context.Context) error { return refused }, nil)
	require.ErrorIs(t, err, refused)
	hold := r.span(t, "hold identify permit")
	assert.Equal(t, otelqueue.OutcomeAbandoned, said(hold, otelqueue.KeyOutcome))
	assert.Equal(t, codes.Unset, hold.Status.Code)
}

func TestSpans_TheFirstReportCounts(t *testing.T) {
	r := record()
	permit, err := r.trace(inMemory(t)).Acquire(t.Context(), 0)
	require.NoError(t, err)
	require.NoError(t, permit.Identified(t.Context()))
	require.NoError(t, permit.Abandon(t.Context()))
	assert.Equal(t, otelqueue.OutcomeIdentified, said(r.span(t, "hold identify permit"), otelqueue.KeyOutcome))
}

func TestSpans_OfAPermitThatNobodyReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := record()
		permit, err := r.trace(inMemory(t)).Acquire(t.Context(), 0)
		require.NoError(t, err)
		deadline := permit.Deadline()
		time.Sleep(gatewayqueue.MaxPermitDuration + gatewayqueue.IdentifyDelay + time.Second)
		hold := r.span(t, "hold identify permit")
		assert.Equal(t, otelqueue.OutcomeExpired, said(hold, otelqueue.KeyOutcome))
		assert.Equal(t, otelqueue.ErrorExpired, said(hold, otelqueue.KeyError))
		assert.Equal(t, codes.Error, hold.Status.Code)
		assert.True(t, deadline.Equal(hold.EndTime), "it ends at the deadline")
	})
}

func TestSpans_OfWaitsThatFail(t *testing.T) {
	line := string(gatewayqueue.ReasonLine)
	tests := map[string]struct {
		shard   int
		prepare func(*testing.T, *memqueue.Queue) context.Context
		outcome string
		class   any
		blocked any
	}{
		"refused for its shard ID": {-1, func(t *testing.T, _ *memqueue.Queue) context.Context {
			return t.Context()
		}, otelqueue.OutcomeFailed, otelqueue.ErrorInvalid, nil},
		"the queue is closed": {0, func(t *testing.T, q *memqueue.Queue) context.Context {
			require.NoError(t, q.Close())
			return t.Context()
		}, otelqueue.OutcomeFailed, otelqueue.ErrorClosed, nil},
		"it would outlast its deadline": {0, func(t *testing.T, q *memqueue.Queue) context.Context {
			require.NoError(t, q.Wait(t.Context(), 0))
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			t.Cleanup(cancel)
			return ctx
		}, otelqueue.OutcomeFailed, otelqueue.ErrorDeadline, line},
		"its caller gives up": {0, func(t *testing.T, q *memqueue.Queue) context.Context {
			require.NoError(t, q.Wait(t.Context(), 0))
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(errors.New("weary")) })
			return ctx
		}, otelqueue.OutcomeLeft, nil, line},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, queue := record(), inMemory(t)
				require.Error(t, r.trace(queue).Wait(test.prepare(t, queue), test.shard))
				span := r.span(t, "wait identify turn")
				assert.Equal(t, test.outcome, said(span, otelqueue.KeyOutcome))
				assert.Equal(t, test.class, said(span, otelqueue.KeyError))
				assert.Equal(t, test.blocked, said(span, otelqueue.KeyBlocked))
				assert.Equal(t, test.class != nil, span.Status.Code == codes.Error)
			})
		})
	}
}

func TestSpans_OfACallerThatBreaksOffToComeBack(t *testing.T) {
	r := record()
	inner := onRedis(t)
	require.NoError(t, inner.Wait(t.Context(), 0))
	queue := r.trace(inner).(interface {
		AcquireSince(context.Context, int, time.Time, func(time.Time) bool) (gatewayqueue.Permit, error)
	})
	_, err := queue.AcquireSince(t.Context(), 0, time.Time{}, func(time.Time) bool { return false })
	require.Error(t, err)
	span := r.span(t, "acquire identify permit")
	assert.Equal(t, otelqueue.OutcomeLeft, said(span, otelqueue.KeyOutcome))
	assert.Equal(t, codes.Unset, span.Status.Code)
}

func TestSpans_NotSampled(t *testing.T) {
	r := record(sdktrace.WithSampler(sdktrace.NeverSample()))
	permit, err := r.trace(inMemory(t)).Acquire(t.Context(), 0)
	require.NoError(t, err)
	require.NoError(t, permit.Identified(t.Context()))
	assert.Empty(t, r.GetSpans())
}
