package redistest

// What only Linux does for us: signals, and a process group of its own.

import (
	"os"
	"os/exec"
	"syscall"

	"github.com/gatewayqueue/gatewayqueue/internal/child"
)

// spawn starts cmd as the leader of a process group that is killed with us.
func spawn(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return child.Start(cmd)
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
