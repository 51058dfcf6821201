package redistest

// What only Linux does for us: a child that dies with its parent.

import (
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// EndsWithParent says whether servers end with a test process that was killed.
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

// spawn starts cmd as the leader of a process group that is killed with us.
func spawn(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s := start{cmd, make(chan error)}
	spawner() <- s
	return <-s.err
}

func killAll(p *os.Process) error { return syscall.Kill(-p.Pid, syscall.SIGKILL) }
func pause(p *os.Process) error   { return p.Signal(syscall.SIGSTOP) }
func resume(p *os.Process) error  { return p.Signal(syscall.SIGCONT) }

func terminate(p *os.Process) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return resume(p) // a paused process would not hear it
}
