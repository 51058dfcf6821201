package gatewayconn

import (
	"encoding/binary"
	"net"
	"syscall"
	"unsafe"
)

// tcpEstablished is the one state (TCP_ESTABLISHED of the kernel) in which both
// ends can still send.
const tcpEstablished = 1

// established reports whether, as far as the system knows, neither end has closed
// the connection. It knows of a FIN or RST before anybody has read up to it.
func established(conn *net.TCPConn) bool {
	state := byte(tcpEstablished)
	control(conn, func(fd int) {
		info, err := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_INFO)
		if err == nil { // struct tcp_info begins with the state, one byte
			var b [4]byte
			binary.NativeEndian.PutUint32(b[:], uint32(info))
			state = b[0]
		}
	})
	return state == tcpEstablished
}

// unacknowledged returns how many bytes that were written the other end has not
// acknowledged yet; !ok where that cannot be known.
func unacknowledged(conn *net.TCPConn) (n int, ok bool) {
	control(conn, func(fd int) {
		var bytes int32
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&bytes)))
		n, ok = int(bytes), errno == 0
	})
	return n, ok
}

// unread returns how many bytes have come that nobody has read yet; !ok where that
// cannot be known.
func unread(conn *net.TCPConn) (n int, ok bool) {
	control(conn, func(fd int) {
		var bytes int32
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.TIOCINQ, uintptr(unsafe.Pointer(&bytes)))
		n, ok = int(bytes), errno == 0
	})
	return n, ok
}

func control(conn *net.TCPConn, f func(fd int)) {
	if conn == nil {
		return
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { f(int(fd)) }) //nolint:errcheck // It is closed: f does not run.
	}
}
