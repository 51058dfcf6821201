// Below TLS: what crypto/tls keeps of a connection's input.

package gatewayconn

import "net"

const (
	// gathered is how much is read at once where records are short: several of them,
	// or one with the beginning of the next.
	gathered = 4 << 10

	recordHeader = 5 // type, version, and two bytes of length (RFC 8446, 5.1)
)

// records is a connection that TLS reads from. crypto/tls keeps all its life the
// largest input buffer that it ever needed, which grows to 50 KB where reads end in
// the midst of long records, as they do once a gateway has sent some guilds. Here a
// read does not go beyond the end of a long record, so that 18 to 24 KB are enough.
type records struct {
	net.Conn
	header [recordHeader]byte
	have   int // bytes of the header of the next record
	size   int // of the record that comes
	left   int // bytes of it that are still to come
}

// NetConn is the connection below; see TCP.
func (r *records) NetConn() net.Conn { return r.Conn }

// Read reads up to the end of a long record, or of some short ones.
func (r *records) Read(p []byte) (int, error) {
	most := gathered
	if r.left > 0 && r.size > gathered {
		most = r.left
	}
	n, err := r.Conn.Read(p[:min(most, len(p))])
	r.passed(p[:n])
	return n, err
}

// passed keeps count of where records end.
func (r *records) passed(p []byte) {
	for len(p) > 0 {
		if r.left > 0 {
			n := min(r.left, len(p))
			p, r.left = p[n:], r.left-n
			continue
		}
		n := copy(r.header[r.have:], p)
		p, r.have = p[n:], r.have+n
		if r.have == recordHeader {
			r.have = 0
			r.size = int(r.header[3])<<8 | int(r.header[4])
			r.left = r.size
		}
	}
}
