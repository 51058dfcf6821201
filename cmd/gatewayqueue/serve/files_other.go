//go:build !unix

package serve

import "net"

// openFiles is how many files this process may open; 0 if there is no limit.
func openFiles() int { return 0 }

// unread says that a connection has sent what nobody has read yet.
func unread(net.Conn) bool { return false }
