//go:build !linux

package redistest

// What every system can do with a child.

import (
	"errors"
	"os"
	"os/exec"
)

func spawn(cmd *exec.Cmd) error     { return cmd.Start() }
func killAll(p *os.Process) error   { return p.Kill() }
func pause(*os.Process) error       { return errors.ErrUnsupported }
func resume(*os.Process) error      { return errors.ErrUnsupported }
func terminate(p *os.Process) error { return p.Signal(os.Interrupt) }
