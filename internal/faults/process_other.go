//go:build !linux

package faults

// Elsewhere no fault suite runs: there is no clock that all processes share.

import (
	"os"
	"os/exec"
	"time"
)

const supported = false

func spawn(cmd *exec.Cmd) error { return cmd.Start() }

func pause(*os.Process) {}

func resume(*os.Process) {}

func clock() time.Duration { return 0 }
