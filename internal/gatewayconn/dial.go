package gatewayconn

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// Patience is how long a connection may take to be dialled, and again from
// then to HELLO: what gorilla/websocket allows by default for a handshake.
const Patience = 45 * time.Second

// Dialer makes the connections below.
type Dialer struct {
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error) // nil is a net.Dialer
	TLS     *tls.Config                                                       // nil is the default
}

// Dial connects to addr, with TLS if encrypted.
func (d Dialer) Dial(ctx context.Context, network, addr string, encrypted bool) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	dial := d.NetDial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, network, addr)
	if err != nil || !encrypted {
		return conn, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if d.TLS != nil {
		config = d.TLS.Clone()
	}
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			host = addr
		}
		config.ServerName = host
	}
	secure := tls.Client(conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}
