// From the grant to the command.

package wait

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
)

const (
	// replyWithin is how old a grant of Redis may be when Wait returns.
	replyWithin = 250 * time.Millisecond
	// startWithin is how long the command may then take to start: a moment, unless
	// this process, or the machine, is stopped right there.
	startWithin = 100 * time.Millisecond
	// sayWithin is how long it may take to say so on standard error, which may be
	// a pipe that nobody reads.
	sayWithin = startWithin / 2
)

// start is what happens between the grant and the command.
type start struct {
	wait    func() error
	say     func()              // that it was granted
	late    func(time.Duration) // that the grant was too old by then
	stopped func() error        // a signal that has come
	become  func() error        // the command; does not return, as a rule
}

// run waits for a grant that is fresh enough, and starts the command; granted
// says that it got that far. Each grant that is too old has spent a unit.
func (s start) run() (granted bool, err error) {
	for {
		if err := s.wait(); err != nil {
			return false, err
		}
		since := elapsed.Now()
		said := make(chan struct{})
		go func() { s.say(); close(said) }()
		select {
		case <-said:
		case <-time.After(sayWithin):
		}
		if err := s.stopped(); err != nil {
			return true, spent{err}
		}
		age := since.Since()
		if age <= startWithin {
			return true, s.become()
		}
		go s.late(age) // it may block as well
	}
}

// spent is the signal that came between the grant and the command.
type spent struct{ error }

func (s spent) Error() string {
	return s.error.Error() + ", after the grant: a unit of the budget was spent"
}
func (s spent) Unwrap() error { return s.error }

// keepPlace keeps signals that are not about this process from ending it: SIGHUP
// when a terminal closes, and SIGPIPE when nobody reads what it says. They are
// caught and not ignored, because the command would inherit that; and left alone
// if they are ignored already, which it is to inherit.
func keepPlace(note func(format string, args ...any)) {
	caught := make(chan os.Signal, 1)
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGPIPE} {
		if !signal.Ignored(s) {
			signal.Notify(caught, s)
		}
	}
	go func() {
		for s := range caught {
			if s == syscall.SIGHUP {
				note("SIGHUP: it keeps its place")
			}
		}
	}()
}
