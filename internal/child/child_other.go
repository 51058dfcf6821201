//go:build !linux

package child

import "os/exec"

// EndsWithParent says whether children end with a process that was killed.
const EndsWithParent = false

// Start starts cmd. Nothing but its parent ends it here.
func Start(cmd *exec.Cmd) error { return cmd.Start() }
