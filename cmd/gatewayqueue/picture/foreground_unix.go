//go:build unix

package picture

import (
	"os"

	"golang.org/x/sys/unix"
)

// inForeground reports whether the terminal is this program's, and it was not
// started with & behind it.
func inForeground(terminal uintptr) bool {
	group, err := unix.IoctlGetInt(int(terminal), unix.TIOCGPGRP)
	return err != nil || group == unix.Getpgrp() || os.Getpid() == 1
}
