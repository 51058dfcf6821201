package pod

import (
	"log/slog"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// Command is what a pod wants done, one of the types below. Those of one step are
// done in their order; sends of one step may travel together.
type Command interface{ command() }

// Send is a call to be sent to Redis. Its answer comes back as an Answered.
type Send struct {
	Request  wire.Request
	Lane     Lane
	Replicas int  // that must acknowledge what it writes; 0 for none
	Whole    bool // the script's text goes with it: the server does not know it
	then     func(Answered)
}

// Lane says which calls wait for one another where a pod has many to make at once.
type Lane int

const (
	// Calls are claims, beats and whatever else is in no hurry.
	Calls Lane = iota
	// Reports are what permits have to say: until IDENTIFY is reported its bucket's
	// window has not begun.
	Reports
)

// Ask is a call of the limit source, to be answered by a SourceAnswered.
type Ask struct{ then func(SourceAnswered) }

// Granted tells a waiter that it was granted.
type Granted struct {
	Waiter *Waiter
	Grant  Grant
}

// Grant is what a waiter was given.
type Grant struct {
	Sent      elapsed.Moment // when the call that got it was sent
	Closes    time.Duration  // for how long it closes the bucket
	Bucket    int
	Permit    *Permit // nil for Wait
	grantedAt int64   // ms on Redis's clock
}

// Refused tells a waiter that it waits no longer. Err is nil where it has left; then
// Blocked is what has kept it waiting, or nil.
type Refused struct {
	Waiter  *Waiter
	Err     error
	Blocked *gatewayqueue.BlockedError
}

// Placed tells a waiter that has asked for it from when its place counts.
type Placed struct {
	Waiter *Waiter
	Since  time.Time // on Redis's clock
}

// Done tells what became of an operation.
type Done struct {
	Op  *Op
	Err error
}

// Good tells for how long a permit is good.
type Good struct {
	Permit *Permit
	Life   Lifetime
}

// Observe is an event for the observer.
type Observe struct{ Event gatewayqueue.Event }

// Log is a line for the log. The message is a constant.
type Log struct {
	Level slog.Level
	Text  string
	Args  []any
}

// Reload makes a cluster's client look which node has what: by itself it dials a
// dead master for up to a minute.
type Reload struct{}

// Hangup ends the calls that are under way, because the queue closes.
type Hangup struct{}

// Departed says that a pod that closes has given up what it had.
type Departed struct{}

func (Send) command()     {}
func (Ask) command()      {}
func (Granted) command()  {}
func (Refused) command()  {}
func (Placed) command()   {}
func (Done) command()     {}
func (Good) command()     {}
func (Observe) command()  {}
func (Log) command()      {}
func (Reload) command()   {}
func (Hangup) command()   {}
func (Departed) command() {}

func (p *Pod) do(c Command)                 { p.out = append(p.out, c) }
func (p *Pod) observe(e gatewayqueue.Event) { p.do(Observe{e}) }

func (p *Pod) log(level slog.Level, text string, args ...any) { p.do(Log{level, text, args}) }
func (p *Pod) info(text string, args ...any)                  { p.log(slog.LevelInfo, text, args...) }
func (p *Pod) warn(text string, args ...any)                  { p.log(slog.LevelWarn, text, args...) }

// answer is a decoded answer, and when its call was sent.
type answer[R any] struct {
	reply R
	err   error
	sent  elapsed.Moment
	acked int
}

// send sends a call; then hears its answer.
func send[R any](p *Pod, lane Lane, request wire.RequestFor[R], then func(answer[R])) {
	sendAs(p, Send{Request: request, Lane: lane}, request, then)
}

func sendAs[R any](p *Pod, s Send, request wire.RequestFor[R], then func(answer[R])) {
	s.then = func(a Answered) {
		got := answer[R]{err: a.Err, sent: a.Sent, acked: a.Acked}
		if a.Err == nil {
			got.reply, got.err = request.Decode(p.cfg.Keys, a.Raw)
			p.way.took(a.Sent.Until(p.now))
		}
		then(got)
	}
	p.do(s)
}
