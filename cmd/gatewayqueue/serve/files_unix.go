//go:build unix

package serve

import "syscall"

// openFiles is how many files this process may open; 0 if there is no limit. Go
// has raised the soft limit to the hard one by now.
func openFiles() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > 1<<30 {
		return 0
	}
	return int(limit.Cur) //nolint:gosec // at most 2^30
}
