package otelqueue_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/otelqueue"
)

// A queue over HTTP: otelhttp on both sides carries the trace from a bot's call
// to the grant at the server.
func Example_http() {
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	with := []otelhttp.Option{otelhttp.WithTracerProvider(provider), otelhttp.WithPropagators(propagation.TraceContext{})}

	// The server.
	queue, err := memqueue.New(gatewayqueue.DefaultLimit())
	if err != nil {
		panic(err)
	}
	defer queue.Close()
	handler, err := httpqueue.NewHandler(otelqueue.New(queue, otelqueue.WithTracerProvider(provider)))
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(otelhttp.NewHandler(handler, "gatewayqueue", with...))

	// The bot.
	client, err := httpqueue.NewClient(server.URL,
		httpqueue.WithHTTPClient(&http.Client{Transport: otelhttp.NewTransport(http.DefaultTransport, with...)}))
	if err != nil {
		panic(err)
	}
	ctx, connect := provider.Tracer("bot").Start(context.Background(), "connect")
	if err := client.Wait(ctx, 0); err != nil { // then send IDENTIFY
		panic(err)
	}
	connect.End()
	fmt.Println(client.Close())
	server.Close()

	for _, span := range spans.GetSpans() {
		if span.Name == "acquire identify permit" || span.Name == "connect" {
			fmt.Println(span.Name, "is in the bot's trace:", span.SpanContext.TraceID() == connect.SpanContext().TraceID())
		}
	}
	// Output:
	// <nil>
	// acquire identify permit is in the bot's trace: true
	// connect is in the bot's trace: true
}
