package pod

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// Event is what happens to a pod, one of the types below.
type Event interface{ apply(p *Pod) }

// Tick says that time has passed: something may be due.
type Tick struct{}

// Join is a caller that begins to wait.
type Join struct{ Waiter *Waiter }

// Leave is a caller that waits no longer. It is answered with Refused, unless that
// was said already; a grant that it has not taken goes back.
type Leave struct{ Waiter *Waiter }

// Taken says that a waiter has taken its grant, so long after its call was sent.
type Taken struct {
	Waiter *Waiter
	After  time.Duration
}

// Late says that a waiter cannot take its grant any more, so long after its call was
// sent. It is granted again.
type Late struct {
	Waiter *Waiter
	After  time.Duration
}

// Answered is the answer to a Send.
type Answered struct {
	To    Send
	Raw   any   // as go-redis returns it
	Err   error // of Redis, or of the way to it
	Sent  elapsed.Moment
	Acked int // how many replicas have what it wrote
}

// SourceAnswered is the answer to an Ask, or what the limit source has said to
// somebody else.
type SourceAnswered struct {
	To    Ask
	Limit gatewayqueue.SessionStartLimit
	Err   error
}

// Heard is how a call went that was not the pod's own.
type Heard struct{ Err error }

// Update is new limits for every pod. It ends with Done.
type Update struct {
	Op    *Op
	Limit wire.Report
}

// Settle says what became of a permit. It ends with Done.
type Settle struct {
	Op         *Op
	Permit     *Permit
	Identified bool          // else it is abandoned
	Within     time.Duration // IDENTIFY may leave until so long from now
}

// Announce says that a permit's IDENTIFY is about to leave. It ends with Done.
type Announce struct {
	Op     *Op
	Permit *Permit
}

// Renew renews an imported permit, once. It ends with Done.
type Renew struct {
	Op     *Op
	Permit *Permit
}

// Export ends the renewals of a permit: another pod goes on with them.
type Export struct{ Permit *Permit }

// Look says that something has happened that the next beat tells of.
type Look struct{}

// Close ends all waits. It ends with Departed.
type Close struct{}

// Op is something that a caller waits for. A caller that waits no longer sets
// nothing: reports of permits go on without it.
type Op struct {
	Owner  any       // the caller's own
	Leaves *Lifetime // of an Announce, once it is done: until when IDENTIFY may leave; nil if nothing was sent

	over   bool        // it has ended, or nobody waits for it
	then   func(error) // what hears the end in the pod itself; nil for the caller
	cancel func()      // what ends with its caller; nil for nothing
}

// Cancel says that nobody waits for an operation any more. One that has no use
// without its caller ends.
type Cancel struct{ Op *Op }

func (Tick) apply(*Pod)               {}
func (e Join) apply(p *Pod)           { p.join(e.Waiter) }
func (e Leave) apply(p *Pod)          { p.leave(e.Waiter) }
func (e Taken) apply(p *Pod)          { p.taken(e.Waiter, e.After) }
func (e Late) apply(p *Pod)           { p.late(e.Waiter, e.After) }
func (e Answered) apply(p *Pod)       { p.onTheWay--; e.To.then(e) }
func (e SourceAnswered) apply(p *Pod) { p.sourceAnswered(e) }
func (e Heard) apply(p *Pod)          { p.heard(e.Err) }
func (e Update) apply(p *Pod)         { p.update(e.Op, &e.Limit, p.cfg.NewEpoch(), p.view.MaxConcurrency, 1) }
func (e Settle) apply(p *Pod)         { p.settle(e) }
func (e Announce) apply(p *Pod)       { p.announce(e.Op, e.Permit) }
func (e Renew) apply(p *Pod)          { p.renewOnce(e.Op, e.Permit) }
func (e Export) apply(p *Pod)         { p.dropPermit(e.Permit) }
func (e Cancel) apply(*Pod)           { e.Op.canceled() }
func (Look) apply(p *Pod)             { p.beatSoon() }
func (Close) apply(p *Pod)            { p.close() }

// done ends an operation.
func (p *Pod) done(op *Op, err error) {
	switch {
	case op.over:
	case op.then != nil:
		op.over = true
		op.then(err)
	default:
		op.over = true
		p.do(Done{op, err})
	}
}

func (o *Op) canceled() {
	if !o.over && o.cancel != nil {
		o.cancel()
	}
	o.over = true
}
