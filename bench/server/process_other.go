//go:build !linux

package server

// What every system can do with a child.

import "os/exec"

func spawn(cmd *exec.Cmd) error { return cmd.Start() }
