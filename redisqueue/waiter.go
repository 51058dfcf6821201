package redisqueue

import (
	"cmp"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
)

// state is where a waiter stands.
type state int

const (
	waiting state = iota
	granted       // done is closed; not yet taken
	refused       // done is closed, or its caller has left
)

// waiter is one caller of Wait or Acquire. Its fields belong to the queue's mu
// until done is closed.
type waiter struct {
	shard       int
	ticket      string
	wantsPermit bool
	since       time.Time // when it came
	deadline    time.Time // of its context; zero for none
	done        chan struct{}
	placed      chan struct{} // closed when arrival is known; nil if nobody asks

	state    state
	line     *line         // nil in the lobby
	arrival  int64         // ms on Redis's clock; 0 until Redis has said
	told     bool          // Redis knows its place
	tried    bool          // Redis may know it: a call with it was sent
	claiming bool          // a claim for it is on its way
	rest     *time.Timer   // while it rests, outside every line
	rests    time.Time     // until then
	patience time.Duration // what a window needs on top because replies are slow

	// Of its grant.
	sent           elapsed.Moment // when the call that got it was sent
	granted        int64          // ms on Redis's clock
	closes         time.Duration
	bucket         int
	maxConcurrency int
	permit         *permit

	err error // why it was refused
}

// compare orders waiters as Redis orders their tickets: by arrival, then as text
// (which has the shard in front). Those who have not arrived stand last, and
// first of all stand those who have paid and wait for a fresher grant: Redis
// grants them out of turn, and remembers only for a while that they have paid.
func (w *waiter) compare(v *waiter) int {
	if paid := w.patience > 0; paid != (v.patience > 0) {
		if paid {
			return -1
		}
		return 1
	}
	if w.arrival != v.arrival && (w.arrival == 0 || v.arrival == 0) {
		return cmp.Compare(v.arrival, w.arrival)
	}
	return cmp.Or(cmp.Compare(w.arrival, v.arrival), cmp.Compare(w.ticket, v.ticket))
}

// refuse ends the wait with an error.
func (w *waiter) refuse(err error) {
	w.state, w.err = refused, err
	close(w.done)
}
