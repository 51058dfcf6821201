package otelqueue_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
)

// serve is a server of a queue on the loopback.
func serve(t *testing.T, queue gatewayqueue.PermitQueue, opts ...otelhttp.Option) *httptest.Server {
	t.Helper()
	handler, err := httpqueue.NewHandler(queue)
	require.NoError(t, err)
	var h http.Handler = handler
	if len(opts) > 0 {
		h = otelhttp.NewHandler(handler, "gatewayqueue", opts...)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	t.Cleanup(func() { assert.NoError(t, handler.Close()) })
	return server
}

func TestHTTP_AWaitIsOneTraceFromCallerToGrant(t *testing.T) {
	for name, open := range map[string]func(*testing.T) gatewayqueue.PermitQueue{
		"in memory": func(t *testing.T) gatewayqueue.PermitQueue { return inMemory(t) },
		"on Redis":  func(t *testing.T) gatewayqueue.PermitQueue { return onRedis(t) },
	} {
		t.Run(name, func(t *testing.T) {
			bot, there := record(), record() // the two processes
			server := serve(t, there.trace(open(t)), otelhttp.WithTracerProvider(there.provider), otelhttp.WithPropagators(propagation.TraceContext{}))
			transport := otelhttp.NewTransport(http.DefaultTransport,
				otelhttp.WithTracerProvider(bot.provider), otelhttp.WithPropagators(propagation.TraceContext{}))
			client, err := httpqueue.NewClient(server.URL, httpqueue.WithHTTPClient(&http.Client{Transport: transport}))
			require.NoError(t, err)
			ctx, above := bot.provider.Tracer("test").Start(t.Context(), "connect")
			dial := func(context.Context) error { return nil }
			require.NoError(t, gatewayqueue.Identify(ctx, bot.trace(client), 3, dial, dial))
			above.End()
			require.NoError(t, client.Close())
			server.Close() // the handler's spans have ended

			all := append(bot.GetSpans(), there.GetSpans()...)
			parents := map[trace.SpanID]tracetest.SpanStub{}
			for _, span := range all {
				assert.Equal(t, above.SpanContext().TraceID(), span.SpanContext.TraceID(), span.Name)
				parents[span.SpanContext.SpanID()] = span
			}
			granted := there.span(t, "acquire identify permit")
			request := parents[granted.Parent.SpanID()]
			assert.Equal(t, trace.SpanKindServer, request.SpanKind)
			call := parents[request.Parent.SpanID()]
			assert.Equal(t, trace.SpanKindClient, call.SpanKind)
			assert.Equal(t, bot.span(t, "acquire identify permit").SpanContext.SpanID(), call.Parent.SpanID())

			reports := 0
			for _, span := range bot.GetSpans() {
				if span.Parent.SpanID() == bot.span(t, "hold identify permit").SpanContext.SpanID() {
					assert.Equal(t, trace.SpanKindClient, span.SpanKind)
					reports++
				}
			}
			assert.Positive(t, reports, "the report stands under the permit")
		})
	}
}
