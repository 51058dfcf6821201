// The spans of waits.

package otelqueue

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/gatewayqueue/gatewayqueue"
)

// Option sets how a queue is traced.
type Option func(*tracing)

// WithTracerProvider sets where spans go; by default to
// otel.GetTracerProvider(), which drops them until a program sets another one.
func WithTracerProvider(p trace.TracerProvider) Option { return func(t *tracing) { t.provider = p } }

// WithAttributes adds attributes to every span, such as the application of a
// queue where one process has several.
func WithAttributes(attrs ...attribute.KeyValue) Option {
	return func(t *tracing) { t.attributes = append(t.attributes, attrs...) }
}

// tracing begins the spans of one queue.
type tracing struct {
	provider   trace.TracerProvider
	attributes []attribute.KeyValue
	tracer     trace.Tracer
}

func newTracing(opts []Option) *tracing {
	t := &tracing{provider: otel.GetTracerProvider()}
	for _, opt := range opts {
		opt(t)
	}
	t.tracer = t.provider.Tracer(scope)
	return t
}

func (t *tracing) start(ctx context.Context, name string, shard int) (context.Context, trace.Span) {
	return t.tracer.Start(ctx, name, trace.WithAttributes(t.attributes...), trace.WithAttributes(KeyShard.Int(shard))) //nolint:spancheck // ended by the caller
}

// wait traces one call of Wait.
func (t *tracing) wait(ctx context.Context, shard int, visit *gatewayqueue.Visit, call func(context.Context) error) error {
	ctx, span := t.start(ctx, spanWait, shard)
	defer span.End()
	left := leaves(visit)
	err := call(ctx)
	tell(ctx, span, err, left())
	return err
}

// acquire traces one call of Acquire, and then its permit.
func (t *tracing) acquire(ctx context.Context, shard int, visit *gatewayqueue.Visit, call func(context.Context) (gatewayqueue.Permit, error)) (gatewayqueue.Permit, error) {
	ctx, span := t.start(ctx, spanAcquire, shard)
	left := leaves(visit)
	permit, err := call(ctx)
	tell(ctx, span, err, left())
	span.End()
	if err != nil {
		return nil, err
	}
	return t.hold(ctx, shard, permit), nil
}

// leaves reports, after the call, whether the caller left the line once it knew
// its place. A nil visit never does.
func leaves(visit *gatewayqueue.Visit) func() bool {
	if visit == nil || visit.Placed == nil {
		return func() bool { return false }
	}
	var left atomic.Bool
	placed := visit.Placed
	visit.Placed = func(since time.Time) bool {
		stays := placed(since)
		left.Store(!stays)
		return stays
	}
	return left.Load
}

// tell says how a wait has ended.
func tell(ctx context.Context, span trace.Span, err error, left bool) {
	if !span.IsRecording() {
		return
	}
	switch {
	case err == nil:
		span.SetAttributes(KeyOutcome.String(OutcomeGranted))
		return
	case left, errors.Is(ctx.Err(), context.Canceled): // whatever the cause: it is the caller's doing
		span.SetAttributes(KeyOutcome.String(OutcomeLeft))
	default:
		span.SetAttributes(KeyOutcome.String(OutcomeFailed))
		fail(span, err)
	}
	var blocked *gatewayqueue.BlockedError
	if errors.As(err, &blocked) {
		span.SetAttributes(KeyBlocked.String(string(blocked.Reason)))
	}
}

// fail marks a span as failed.
func fail(span trace.Span, err error) {
	span.SetStatus(codes.Error, err.Error())
	span.SetAttributes(KeyError.String(errorType(err)))
}
