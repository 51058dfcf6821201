// Package child starts processes that do not outlive the one that started them,
// however it ends, where the system offers that.
package child

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// EndsWithParent says whether children end with a process that was killed.
const EndsWithParent = true

type start struct {
	cmd *exec.Cmd
	err chan error
}

// spawner starts all children from one thread that never ends: Linux sends the
// death signal when the thread that forked ends, not the process.
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

// Start starts cmd so that it is killed when this process ends.
func Start(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	s := start{cmd, make(chan error)}
	spawner() <- s
	return <-s.err
}
