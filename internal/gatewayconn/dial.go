package gatewayconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Patience is how long a connection may take to be dialled, and again from
// then to HELLO: what gorilla/websocket allows by default for a handshake.
const Patience = 45 * time.Second

// ErrProxied says that the library wants to talk to a proxy through the
// connection, where IDENTIFY would be out of sight.
var ErrProxied = errors.New("gatewayqueue: the dialer's Proxy must be nil: give it to the queue with WithProxy instead")

// Dialer makes the connections below.
type Dialer struct {
	NetDial func(ctx context.Context, network, addr string) (net.Conn, error) // nil is a net.Dialer
	TLS     *tls.Config                                                       // nil is the default

	proxy    func(*http.Request) (*url.URL, error) // nil is no proxy, once it is set
	proxySet bool
	proxyTLS *tls.Config // for an https proxy; nil is the default
}

// SetProxy sets which proxy there is for a request; nil is no proxy. Without it the
// environment says so, unless NetDial is set, as the libraries' own dialers have
// it.
func (d *Dialer) SetProxy(proxy func(*http.Request) (*url.URL, error)) {
	d.proxy, d.proxySet = proxy, true
}

// Dial connects to addr, through the proxy for it if there is one, with TLS if
// encrypted.
func (d Dialer) Dial(ctx context.Context, network, addr string, encrypted bool) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	conn, err := d.connect(ctx, network, addr, encrypted)
	if err != nil || !encrypted {
		return conn, err
	}
	secure := tls.Client(&records{Conn: conn}, configFor(d.TLS, hostOf(addr)))
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, noTLS(addr, err)
	}
	return secure, nil
}

// connect makes the connection below TLS.
func (d Dialer) connect(ctx context.Context, network, addr string, encrypted bool) (net.Conn, error) {
	dial := d.NetDial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	via := d.proxy
	if !d.proxySet && d.NetDial == nil {
		via = http.ProxyFromEnvironment
	}
	if via == nil {
		return dial(ctx, network, addr)
	}
	target := &url.URL{Scheme: "http", Host: addr}
	if encrypted {
		target.Scheme = "https"
	}
	proxy, err := via((&http.Request{Method: http.MethodGet, URL: target, Host: addr, Header: http.Header{}}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("gatewayqueue: the proxy for %s: %w", addr, err)
	}
	if proxy == nil {
		return dial(ctx, network, addr)
	}
	return d.tunnel(ctx, dial, proxy, addr)
}

// configFor is given, or the default, with the server's name in it.
func configFor(given *tls.Config, host string) *tls.Config {
	if given != nil && given.ServerName != "" { // nothing is missing: all connections share it
		return given
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if given != nil {
		config = given.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	return config
}

func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}

// noTLS says why there is no TLS with addr. A library that has a proxy of its own
// asks for TLS with that: what answers is no TLS then, or nothing at all.
func noTLS(addr string, err error) error {
	var record tls.RecordHeaderError
	var network *net.OpError
	switch {
	case errors.As(err, &record):
		return fmt.Errorf("gatewayqueue: %s answers without TLS, as a proxy does (%w): %w", addr, err, ErrProxied)
	case errors.Is(err, io.EOF), errors.As(err, &network) && !network.Timeout(): // closed, or reset
		return fmt.Errorf("gatewayqueue: %s hung up in the TLS handshake (%w); if it is a proxy: the dialer's Proxy must be nil, see WithProxy", addr, err)
	default:
		return fmt.Errorf("gatewayqueue: TLS with %s: %w", addr, err)
	}
}
