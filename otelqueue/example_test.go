package otelqueue_test

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/otelqueue"
)

// The spans of a shard that comes up.
func Example() {
	spans := tracetest.NewInMemoryExporter() // a bot has otlptracehttp, with a batcher
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))

	queue, err := memqueue.New(gatewayqueue.DefaultLimit()) // or redisqueue, or httpqueue's client
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	traced := otelqueue.New(queue, otelqueue.WithTracerProvider(provider), // by default otel's own
		otelqueue.WithAttributes(attribute.String("discord.application.id", "81384788765712384")))

	dial := func(context.Context) error { return nil }
	identify := func(context.Context) error { return nil }
	if err := gatewayqueue.Identify(context.Background(), traced, 0, dial, identify); err != nil {
		panic(err)
	}
	for _, span := range spans.GetSpans() {
		for _, a := range span.Attributes {
			if a.Key == otelqueue.KeyOutcome {
				fmt.Println(span.Name+":", a.Value.AsString())
			}
		}
	}
	// Output:
	// acquire identify permit: granted
	// hold identify permit: identified
}
