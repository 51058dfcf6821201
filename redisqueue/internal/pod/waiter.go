package pod

import (
	"cmp"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// stage is where a waiter stands.
type stage int

const (
	inLobby    stage = iota // the limits are not known yet
	unsent                  // in a line; no call has told Redis of its place
	sent                    // a call with its place was sent: Redis may know it
	placed                  // Redis knows its place
	claiming                // a claim for it is on its way
	backingOff              // outside every line, because its shard identifies too often
	granted                 // it has a grant, which it has not taken
	taken                   // it has taken its grant
	gone                    // it was refused, or has left
)

// Waiter is one caller of Wait or Acquire.
type Waiter struct {
	Shard    int
	Permit   bool      // it wants a permit
	Since    time.Time // when it came
	Deadline time.Time // of its context; zero for none
	Visit    string    // the end of its tickets, see wire.VisitEnd
	Arrival  int64     // ms on Redis's clock: the place that it comes back to; 0 for the end of the line
	TellsOf  bool      // it wants to be told its place, unless it is granted right away
	Owner    any       // the caller's own

	stage       stage
	ticket      string
	calls       int           // on their way with its ticket; it is given up once this is 0
	line        *line         // nil in the lobby, and while it backs off
	backoff     *timer        // while it backs off
	extraMargin time.Duration // what a window needs on top because replies were slow; it has paid then
	grant       Grant
}

// waits says that it has neither a grant nor an error.
func (w *Waiter) waits() bool { return w.stage < granted }

// known says that Redis knows its place, or may.
func (w *Waiter) known() bool { return w.stage == sent || w.stage == placed || w.stage == claiming }

// new says that it has to be told to Redis.
func (w *Waiter) new() bool { return w.stage == unsent || w.stage == sent }

// paid says that Redis remembers that it has paid, and grants it out of turn.
func (w *Waiter) paid() bool { return w.extraMargin > 0 }

// compare orders waiters as Redis orders their tickets: by arrival, then as text
// (which has the shard in front). Those that have not arrived stand last, and
// first of all stand those that have paid and wait for a fresher grant: Redis
// remembers only for a while that they have paid.
func (w *Waiter) compare(v *Waiter) int {
	if w.paid() != v.paid() {
		if w.paid() {
			return -1
		}
		return 1
	}
	if w.Arrival != v.Arrival && (w.Arrival == 0 || v.Arrival == 0) {
		return cmp.Compare(v.Arrival, w.Arrival)
	}
	return cmp.Or(cmp.Compare(w.Arrival, v.Arrival), cmp.Compare(w.ticket, v.ticket))
}

// newTicket is a ticket that nobody has had; end is that of another one of its wait.
func (p *Pod) newTicket(shard int, end string) string {
	p.tickets++
	return wire.FormatTicket(shard, p.cfg.Name, p.tickets) + end
}

// join gives a waiter its place in a line, or in the lobby while the number of
// buckets is not known.
func (p *Pod) join(w *Waiter) {
	w.ticket = p.newTicket(w.Shard, w.Visit)
	switch {
	case p.closed:
		p.refuse(w, gatewayqueue.ErrClosed)
	case p.view.MaxConcurrency == 0:
		w.stage = inLobby
		p.lobby = append(p.lobby, w)
	default:
		w.stage = unsent
		p.enter(w)
	}
}

// enter puts a waiter into its line.
func (p *Pod) enter(w *Waiter) { p.lineOf(w.Shard % p.view.MaxConcurrency).add(w) }

// leave takes out a waiter that waits no longer, wherever it is. A grant that it
// did not take goes back.
func (p *Pod) leave(w *Waiter) {
	switch {
	case w.waits():
		blocked := p.why(w)
		p.drop(w)
		p.end(w)
		p.do(Refused{Waiter: w, Blocked: blocked})
	case w.stage == granted:
		w.stage = gone
		p.giveBack(w)
		p.do(Refused{Waiter: w})
	}
}

// drop takes a waiter out of where it waits.
func (p *Pod) drop(w *Waiter) {
	switch {
	case w.stage == inLobby:
		p.lobby = remove(p.lobby, w)
	case w.stage == backingOff:
		p.stop(w.backoff)
		p.backingOff = remove(p.backingOff, w)
	case w.line != nil:
		w.line.waiters = remove(w.line.waiters, w)
	}
}

// end makes a waiter one that is gone, and gives up a place that Redis may know.
// The waiter is in no list any more.
func (p *Pod) end(w *Waiter) {
	known := w.known()
	w.stage = gone
	if known && w.calls == 0 {
		p.giveUp(w)
	}
}

// returned notes that a call with the ticket of a waiter was answered. One that has
// gone meanwhile gives it up now: before, the call could have put it back.
func (p *Pod) returned(w *Waiter) {
	if w.calls--; w.calls == 0 && w.stage == gone {
		p.giveUp(w)
	}
}

// giveUp has a ticket given up by the line that it stands in.
func (p *Pod) giveUp(w *Waiter) {
	if p.view.MaxConcurrency > 0 {
		l := p.lineOf(w.Shard % p.view.MaxConcurrency)
		l.leaving = append(l.leaving, w.ticket)
	}
}

// refuse ends a wait with an error.
func (p *Pod) refuse(w *Waiter, err error) {
	p.end(w)
	p.do(Refused{Waiter: w, Err: err})
}

// place makes a waiter's place known to its caller, once.
func (p *Pod) place(w *Waiter) {
	if w.TellsOf && w.waits() && w.stage != backingOff && w.Arrival != 0 { // a shard that backs off has lost its place
		w.TellsOf = false
		p.do(Placed{w, time.UnixMilli(w.Arrival)})
	}
}

// taken notes that a waiter has taken its grant.
func (p *Pod) taken(w *Waiter, after time.Duration) {
	p.claims.took(after)
	w.stage = taken
}

// late puts a waiter back whose reply, or whose caller, took longer than its margin,
// less what of it is the caller's: the same ticket, already paid, with a window that
// is longer by as much as Redis is slow. So also a grant without any margin is taken
// in the end.
func (p *Pod) late(w *Waiter, after time.Duration) {
	p.claims.took(after)
	if w.grant.Permit != nil {
		p.dropPermit(w.grant.Permit)
	}
	if p.closed {
		w.stage = gone
		p.giveBack(w)
		p.do(Refused{Waiter: w, Err: gatewayqueue.ErrClosed})
		return
	}
	w.extraMargin = min(after+after/2+p.cfg.MarginLeft, p.cfg.longestMargin())
	w.stage, w.grant = sent, Grant{}
	p.enter(w)
}

// IsLate says that a grant has come too late to be taken.
func (p *Config) IsLate(g Grant, after time.Duration) bool { return p.late(g, after) }

// Bucket is the bucket that it was granted in; 0 without a grant.
func (w *Waiter) Bucket() int { return w.grant.Bucket }
