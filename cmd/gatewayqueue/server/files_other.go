//go:build !unix

package server

import "net"

// OpenFiles is how many files this process may open; 0 if there is no limit.
func OpenFiles() int { return 0 }

// unread says that a connection has sent what nobody has read yet.
func unread(net.Conn) bool { return false }
