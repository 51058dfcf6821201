package otelqueue_test

import (
	"context"
	"reflect"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/otelqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// recorder keeps the spans that have ended.
type recorder struct {
	*tracetest.InMemoryExporter
	provider *sdktrace.TracerProvider
}

func record(opts ...sdktrace.TracerProviderOption) recorder {
	exporter := tracetest.NewInMemoryExporter()
	return recorder{exporter, sdktrace.NewTracerProvider(append(opts, sdktrace.WithSyncer(exporter))...)}
}

func (r recorder) trace(queue gatewayqueue.PermitQueue) gatewayqueue.PermitQueue {
	return otelqueue.New(queue, otelqueue.WithTracerProvider(r.provider))
}

// span is the only one of a name.
func (r recorder) span(t *testing.T, name string) tracetest.SpanStub {
	t.Helper()
	var found []tracetest.SpanStub
	for _, s := range r.GetSpans() {
		if s.Name == name {
			found = append(found, s)
		}
	}
	require.Len(t, found, 1, name)
	return found[0]
}

// said is what a span says under a key, or nil.
func said(s tracetest.SpanStub, key attribute.Key) any {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.AsInterface()
		}
	}
	return nil
}

func inMemory(t *testing.T) *memqueue.Queue {
	t.Helper()
	limit := gatewayqueue.DefaultLimit()
	limit.MaxConcurrency = 16
	queue, err := memqueue.New(limit)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, queue.Close()) })
	return queue
}

func onRedis(t *testing.T) *redisqueue.RedisQueue {
	t.Helper()
	server := miniredis.RunT(t)
	server.ClockTTL(true)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	limit := gatewayqueue.DefaultLimit()
	limit.MaxConcurrency = 16
	queue, err := redisqueue.New(client, redisqueue.WithFreshStart(), redisqueue.WithLimit(limit))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, queue.Close()) })
	return queue
}

// hasMethodsOf wants all exported methods of one value in another.
func hasMethodsOf(t *testing.T, want, got any) {
	t.Helper()
	in, of := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range of.NumMethod() {
		name := of.Type().Method(i).Name
		method := in.MethodByName(name)
		if assert.True(t, method.IsValid(), "%T has lost %s of %T", got, name, want) {
			assert.Equal(t, of.Method(i).Type(), method.Type(), name)
		}
	}
}

func TestNew_KeepsEveryMethodOfQueueAndPermit(t *testing.T) {
	server := serve(t, inMemory(t))
	client, err := httpqueue.NewClient(server.URL)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, client.Close()) })
	for name, queue := range map[string]gatewayqueue.PermitQueue{"in memory": inMemory(t), "on Redis": onRedis(t), "client": client} {
		t.Run(name, func(t *testing.T) {
			traced := record().trace(queue)
			hasMethodsOf(t, queue, traced)
			want, err := queue.Acquire(t.Context(), 0)
			require.NoError(t, err)
			got, err := traced.Acquire(t.Context(), 1)
			require.NoError(t, err)
			assert.NotEqual(t, reflect.TypeOf(want), reflect.TypeOf(got))
			hasMethodsOf(t, want, got)
			require.NoError(t, want.Abandon(t.Context()))
			require.NoError(t, got.Abandon(t.Context()))
		})
	}
}

// What a type is not must stay so: a handler goes by it.
func TestNew_AddsNoMethod(t *testing.T) {
	own := record().trace(inMemory(t))
	_, isShared := own.(httpqueue.SharedQueue)
	assert.False(t, isShared)
	_, err := httpqueue.NewHandler(own)
	require.NoError(t, err, "some parts of a SharedQueue would be refused")

	bare := record().trace(struct{ gatewayqueue.PermitQueue }{inMemory(t)})
	_, looked := bare.(gatewayqueue.StatusReader)
	assert.False(t, looked)
}

func TestNew_KeepsASharedQueueOfOnesOwn(t *testing.T) {
	r := record()
	queue, ok := r.trace(struct{ httpqueue.SharedQueue }{onRedis(t)}).(httpqueue.SharedQueue)
	require.True(t, ok)
	permit, err := queue.AcquireAs(t.Context(), 3, gatewayqueue.Visit{Wait: "one"})
	require.NoError(t, err)
	text, err := queue.Export(permit)
	require.NoError(t, err)
	assert.Equal(t, otelqueue.OutcomeExported, said(r.span(t, "hold identify permit"), otelqueue.KeyOutcome))
	imported, err := queue.Import(text)
	require.NoError(t, err)
	require.NoError(t, imported.Identified(t.Context()))
}

func TestNew_WithoutAProviderTracesNothing(t *testing.T) {
	inner := onRedis(t)
	queue := otelqueue.New(inner)
	want, err := inner.Acquire(t.Context(), 0)
	require.NoError(t, err)
	got, err := queue.Acquire(t.Context(), 1)
	require.NoError(t, err)
	assert.IsType(t, want, got, "a permit without a span is not wrapped")
	require.NoError(t, queue.Wait(context.Background(), 2))
}
