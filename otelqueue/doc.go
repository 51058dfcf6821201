// Package otelqueue traces a queue with OpenTelemetry: a span for each wait, and
// one for each permit while it is held. It is a module of its own, and nothing is
// traced unless a bot wraps its queue in [New].
//
//	queue := otelqueue.New(redisQueue) // spans go to otel.GetTracerProvider()
//
// # Spans
//
// Their names are a verb and its object, and have no variable part, as the
// semantic conventions ask; all are of kind internal.
//
//	wait identify turn        Wait, from the call to the grant
//	acquire identify permit   Acquire, from the call to the grant
//	hold identify permit      the permit, from the grant to the report; a child of the span before
//
// The context that goes on to the queue has the span, so that spans of a Redis
// client (redisotel) or an HTTP client stand under it. Attributes are the Key
// constants of this package.
//
// A wait that the caller gives up is no error; one that fails has the status
// Error and an error.type. So has a permit that nobody reported.
//
// # HTTP
//
// The legs between httpqueue's client and its server are traced by otelhttp, and
// need nothing of this package: give httpqueue.WithHTTPClient a client whose
// Transport is otelhttp.NewTransport, and put otelhttp.NewHandler around the
// handler. With a W3C propagator (propagation.TraceContext) a wait is one trace
// from the caller to the grant: see the example.
//
// What becomes of a queue's other methods is said at [New].
package otelqueue
