//go:build !unix

package serve

// openFiles is how many files this process may open; 0 if there is no limit.
func openFiles() int { return 0 }
