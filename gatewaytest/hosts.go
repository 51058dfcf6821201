// Where the server listens: the address that clients find first, and the gateway
// hosts on which sessions live.

package gatewaytest

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/gatewayqueue/gatewayqueue"
)

// front is the host of GatewayURL: clients come there first, and it does not stop.
const front = -1

// gatewayHost is one that READY's resume_gateway_url leads to.
type gatewayHost struct {
	port string
	down bool // guarded by Server.mu
}

// hostConn knows by which host a client came.
type hostConn struct {
	net.Conn
	host int
}

type hostListener struct {
	net.Listener
	host int
}

func (l hostListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return hostConn{c, l.host}, nil
}

// tcpKey finds the hostConn in a request's context: only with it can a WebSocket
// be severed while it is being closed.
type tcpKey struct{}

func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, tcpKey{}, c)
}

func connOf(r *http.Request) hostConn { return r.Context().Value(tcpKey{}).(hostConn) }

// listen opens a loopback port.
func listen() net.Listener {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		panic("gatewaytest: " + err.Error())
	}
	return listener
}

// listenBeside opens a free port at the address of beside, or a loopback one if
// that is no TCP address.
func listenBeside(beside net.Listener) net.Listener {
	at, ok := beside.Addr().(*net.TCPAddr)
	if !ok {
		return listen()
	}
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: at.IP, Zone: at.Zone})
	if err != nil {
		panic("gatewaytest: " + err.Error())
	}
	return listener
}

// serveOn serves on listener until the server closes.
func (s *Server) serveOn(listener net.Listener, host int) {
	if s.tls != nil {
		listener = tls.NewListener(listener, s.tls)
	}
	s.wg.Go(func() { _ = s.http.Serve(hostListener{listener, host}) }) // Ends with Close.
}

// placeSession is the host of a new session: the hosts that are up take turns.
// Called with s.mu held.
func (s *Server) placeSession() int {
	for range s.hosts {
		s.turn = (s.turn + 1) % len(s.hosts)
		if !s.hosts[s.turn].down {
			return s.turn
		}
	}
	return front
}

// resumeURL is the resume_gateway_url of a session on host, for a client that
// came by the Host header asked.
func (s *Server) resumeURL(host int, asked string) string {
	name, port := "localhost", s.port
	if s.asAsked && asked != "" {
		name, port = splitHost(asked)
	}
	if host != front {
		port = s.hosts[host].port
	}
	if s.resumeHost != nil {
		name = *s.resumeHost
	}
	if port == "" {
		return s.scheme("ws") + name
	}
	return s.scheme("ws") + net.JoinHostPort(name, port)
}

// gatewayURL is the address of the gateway for a client that came by r.
func (s *Server) gatewayURL(r *http.Request) string {
	if s.asAsked && r.Host != "" {
		return s.scheme("ws") + r.Host
	}
	return s.GatewayURL()
}

// splitHost splits a Host header, which may have no port.
func splitHost(host string) (name, port string) {
	if name, port, err := net.SplitHostPort(host); err == nil {
		return name, port
	}
	return strings.Trim(host, "[]"), ""
}

// Hosts returns the URLs of the gateway hosts of [WithHosts].
func (s *Server) Hosts() []string {
	var urls []string
	for host := range s.hosts {
		urls = append(urls, s.resumeURL(host, s.host))
	}
	return urls
}

// StopHost takes a gateway host down: the connections to it, and those of
// sessions that live on it, are severed without a close frame, and new ones to
// it are severed as they come. If resumable, its sessions can be resumed, at
// [Server.GatewayURL] or when the host is up again; if not, they have ended. It
// returns how many sessions that were. Hosts count from 0.
func (s *Server) StopHost(host int, resumable bool) (int, error) {
	if err := s.checkHost(host); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts[host].down = true
	sessions := 0
	for _, sess := range s.sessions {
		if sess.host != host {
			continue
		}
		sessions++
		if sess.conn != nil {
			s.tell(sess.conn, order{kind: orderSever})
		}
		if resumable && sess.seq > 0 {
			s.detach(sess)
		} else {
			s.endSession(sess)
		}
	}
	for c := range s.conns {
		if c.tcp.host == host {
			s.tell(c, order{kind: orderSever})
		}
	}
	return sessions, nil
}

// StartHost brings a gateway host up again.
func (s *Server) StartHost(host int) error {
	if err := s.checkHost(host); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hosts[host].down = false
	return nil
}

func (s *Server) checkHost(host int) error {
	if host < 0 || host >= len(s.hosts) {
		return &gatewayqueue.InvalidError{Field: "gateway host", Value: host, Want: fmt.Sprintf("0 or more, and less than the number of hosts, %d", len(s.hosts))}
	}
	return nil
}

// hostDown reports whether a client came to a host that is down.
func (s *Server) hostDown(host int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return host != front && s.hosts[host].down
}
