//go:build unix

package wait

import "syscall"

// become replaces this process by the command: same process ID, so signals,
// terminal and exit code are the command's without anybody in between.
func become(program string, args, env []string) error { return syscall.Exec(program, args, env) }
