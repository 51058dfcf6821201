package faults

// What only Linux does for us: children that die with their parent, and a clock
// that all processes share.

import (
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const supported = true

type start struct {
	cmd *exec.Cmd
	err chan error
}

// spawner starts all children from one thread that never ends: the death signal
// comes when the thread that forked ends, not the process.
var spawner = sync.OnceValue(func() chan<- start {
	starts := make(chan start)
	go func() {
		runtime.LockOSThread()
		for s := range starts {
			s.err <- s.cmd.Start()
		}
	}()
	return starts
})

// spawn starts cmd so that it is killed when this process ends, however it does.
func spawn(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s := start{cmd, make(chan error)}
	spawner() <- s
	return <-s.err
}

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
