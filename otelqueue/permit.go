// The span of a permit, and permits that have one.

package otelqueue

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/gatewayqueue/gatewayqueue"
)

// reportBound is how long after its deadline a permit's report is waited for: an
// IDENTIFY that was sent in time may be reported a little later.
const reportBound = gatewayqueue.IdentifyDelay

// What permits can do beside a Permit: packages look for it.
type (
	bucketed interface{ Bucket() int }
	within   interface {
		IdentifiedWithin(ctx context.Context, d time.Duration) error
	}
	remote interface { // a permit in Redis
		bucketed
		Renew(ctx context.Context) error
		Held(ctx context.Context) (time.Duration, error)
	}
	local interface { // a permit in memory
		fmt.Stringer
		SentAfterAll(d time.Duration)
	}
	lapser interface{ Lapse() }
)

// held is a permit and its span.
type held struct {
	permit gatewayqueue.Permit
	span   trace.Span
	timer  *time.Timer
	done   atomic.Bool // somebody ends the span, or has
}

// hold begins the span of a permit. It returns a permit that can do all that this
// one can.
func (t *tracing) hold(ctx context.Context, shard int, permit gatewayqueue.Permit) gatewayqueue.Permit {
	_, span := t.start(ctx, spanHold, shard)
	if !span.IsRecording() { // not sampled: the spans under it are not, either
		span.End()
		return permit
	}
	if b, ok := permit.(bucketed); ok {
		span.SetAttributes(KeyBucket.Int(b.Bucket()))
	}
	h := &held{permit: permit, span: span}
	h.timer = time.AfterFunc(gatewayqueue.MaxPermitDuration, h.expire) // which needs the timer itself
	h.timer.Reset(h.left())
	return h.shaped()
}

// shaped is the permit with the methods that packages look for.
func (h *held) shaped() gatewayqueue.Permit {
	announcer, announces := h.permit.(gatewayqueue.Announcer)
	early, isEarly := h.permit.(within)
	switch permit := h.permit.(type) {
	case remote:
		if announces && isEarly {
			return &remoteHeld{announced{h, announcer}, earlyHeld{h, early}, permit}
		}
	case local:
		if l, lapses := h.permit.(lapser); lapses && isEarly {
			return &localHeld{h, earlyHeld{h, early}, lapsing{h, l}, permit}
		}
	}
	if announces {
		return &announced{h, announcer}
	}
	return h
}

func (h *held) left() time.Duration { return time.Until(h.permit.Deadline()) + reportBound }

// expire ends the span unless the permit was renewed.
func (h *held) expire() {
	if left := h.left(); left > 0 {
		h.timer.Reset(left)
		return
	}
	h.lapse(h.permit.Deadline())
}

// lapse ends the span of a permit that nobody reported.
func (h *held) lapse(at time.Time) {
	if h.settles() {
		h.span.SetAttributes(KeyOutcome.String(OutcomeExpired), KeyError.String(ErrorExpired))
		h.span.SetStatus(codes.Error, "the permit was not reported before its deadline")
		h.span.End(trace.WithTimestamp(at))
	}
}

// settles reports whether the caller is to end the span: the first one is.
func (h *held) settles() bool {
	if h.done.Swap(true) {
		return false
	}
	h.timer.Stop()
	return true
}

// settle runs a report, and ends the span with it if it is the first one.
func (h *held) settle(ctx context.Context, outcome string, report func(context.Context) error) error {
	if !h.settles() {
		return report(ctx)
	}
	defer h.span.End()
	h.span.SetAttributes(KeyOutcome.String(outcome))
	err := report(trace.ContextWithSpan(ctx, h.span))
	if err != nil {
		fail(h.span, err)
	}
	return err
}

func (h *held) Identified(ctx context.Context) error {
	return h.settle(ctx, OutcomeIdentified, h.permit.Identified)
}

func (h *held) Abandon(ctx context.Context) error {
	return h.settle(ctx, OutcomeAbandoned, h.permit.Abandon)
}

func (h *held) Deadline() time.Time { return h.permit.Deadline() }

// export ends the span of a permit that is handed over, and returns the permit.
func (h *held) export() gatewayqueue.Permit {
	if h.settles() {
		h.span.SetAttributes(KeyOutcome.String(OutcomeExported))
		h.span.End()
	}
	return h.permit
}

// announced is a held permit that can be announced.
type announced struct {
	*held
	announcer gatewayqueue.Announcer
}

func (a *announced) Announce(ctx context.Context) error {
	err := a.announcer.Announce(trace.ContextWithSpan(ctx, a.span))
	if err != nil {
		a.span.AddEvent(EventRefused, trace.WithAttributes(KeyError.String(errorType(err))))
	} else {
		a.span.AddEvent(EventAnnounced)
	}
	return err
}

// earlyHeld adds the report of an IDENTIFY that is about to leave.
type earlyHeld struct {
	held  *held
	early within
}

func (e earlyHeld) IdentifiedWithin(ctx context.Context, d time.Duration) error {
	return e.held.settle(ctx, OutcomeIdentified, func(ctx context.Context) error { return e.early.IdentifiedWithin(ctx, d) })
}

// lapsing adds the end of a permit whose client is not heard of any more.
type lapsing struct {
	held   *held
	lapser lapser
}

func (l lapsing) Lapse() {
	l.held.lapse(time.Now())
	l.lapser.Lapse()
}

type remoteHeld struct {
	announced
	earlyHeld
	remote
}

type localHeld struct {
	*held
	earlyHeld
	lapsing
	local
}
