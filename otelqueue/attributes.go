// What the spans say, and the words for it.

package otelqueue

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"

	"github.com/gatewayqueue/gatewayqueue"
)

// scope is the name of the tracer.
const scope = "github.com/gatewayqueue/gatewayqueue/otelqueue"

// The names of the spans.
const (
	spanWait    = "wait identify turn"
	spanAcquire = "acquire identify permit"
	spanHold    = "hold identify permit"
)

// The attributes of spans. All but error.type are the project's own: no semantic
// convention knows them.
const (
	KeyShard   = attribute.Key("gatewayqueue.shard.id")       // int; of every span
	KeyBucket  = attribute.Key("gatewayqueue.bucket.id")      // int; of a permit whose queue tells
	KeyOutcome = attribute.Key("gatewayqueue.outcome")        // string; see the Outcome constants
	KeyBlocked = attribute.Key("gatewayqueue.blocked.reason") // string: the gatewayqueue.Reason in the error of a wait
	KeyError   = attribute.Key("error.type")                  // string; see the Error constants
)

// What [KeyOutcome] says.
const (
	OutcomeGranted = "granted" // a wait that brought a grant
	OutcomeLeft    = "left"    // a wait that its caller gave up, or broke off to come back
	OutcomeFailed  = "failed"  // a wait that ended with an error

	OutcomeIdentified = "identified" // a permit on which IDENTIFY was sent
	OutcomeAbandoned  = "abandoned"  // a permit that was given back
	OutcomeExpired    = "expired"    // a permit that nobody reported before its deadline
	OutcomeExported   = "exported"   // a permit that this process handed over: it is reported elsewhere
)

// What [KeyError] says, always with the status Error.
const (
	ErrorDeadline  = "deadline"       // the context's deadline came, or would have come, before the grant
	ErrorExhausted = "exhausted"      // a gatewayqueue.ErrExhausted
	ErrorClosed    = "closed"         // a gatewayqueue.ErrClosed
	ErrorInvalid   = "invalid"        // a gatewayqueue.ErrInvalid
	ErrorSettled   = "permit_settled" // a gatewayqueue.ErrPermitSettled
	ErrorExpired   = "permit_expired" // any other gatewayqueue.ErrPermitExpired
	ErrorOther     = "_OTHER"         // any other, as the conventions write it
)

// The events of a permit's span.
const (
	EventAnnounced = "gatewayqueue.permit.announced" // the queue was asked right before IDENTIFY, and the permit stands
	EventRefused   = "gatewayqueue.permit.refused"   // it was asked, and IDENTIFY must not be sent; with error.type
)

// errorType is the class of an error.
func errorType(err error) string {
	for _, class := range []struct {
		is   error
		name string
	}{
		{gatewayqueue.ErrPermitSettled, ErrorSettled},
		{gatewayqueue.ErrPermitExpired, ErrorExpired},
		{gatewayqueue.ErrExhausted, ErrorExhausted},
		{gatewayqueue.ErrClosed, ErrorClosed},
		{gatewayqueue.ErrInvalid, ErrorInvalid},
		{context.DeadlineExceeded, ErrorDeadline},
	} {
		if errors.Is(err, class.is) {
			return class.name
		}
	}
	return ErrorOther
}
