package faults

// What only Linux does for us: stopping a process for a while, and a clock that all
// processes share.

import (
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const supported = true

func pause(p *os.Process) { _ = p.Signal(syscall.SIGSTOP) } // an error means that it has ended

func resume(p *os.Process) { _ = p.Signal(syscall.SIGCONT) }

// clock reads CLOCK_MONOTONIC.
func clock() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}
