package conntest

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Proxy is one that leads to a single place, whatever it is asked for.
type Proxy struct {
	URL *url.URL
	// TLS is the proxy's certificate authority, if it speaks TLS itself.
	TLS *httptest.Server

	mu    sync.Mutex
	asked []string
}

// Asked returns the addresses that the proxy was asked for.
func (p *Proxy) Asked() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

func (p *Proxy) note(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, addr)
}

// StartProxy starts a proxy of a scheme (http, https, socks5) that leads to
// target. If user is not nil, nobody else is let through.
func StartProxy(t *testing.T, scheme, target string, user *url.Userinfo) *Proxy {
	t.Helper()
	p := &Proxy{URL: &url.URL{Scheme: scheme, User: user}}
	switch scheme {
	case "http":
		server := httptest.NewServer(p.connect(target))
		t.Cleanup(server.Close)
		p.URL.Host = server.Listener.Addr().String()
	case "https":
		p.TLS = httptest.NewTLSServer(p.connect(target))
		t.Cleanup(p.TLS.Close)
		p.URL.Host = p.TLS.Listener.Addr().String()
	default:
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { _ = listener.Close() })
		p.URL.Host = listener.Addr().String()
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go p.socks(conn, target)
			}
		}()
	}
	return p
}

func (p *Proxy) connect(target string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.note(r.Host)
		if p.URL.User != nil {
			password, _ := p.URL.User.Password()
			want := "Basic " + base64.StdEncoding.EncodeToString([]byte(p.URL.User.Username()+":"+password))
			if r.Header.Get("Proxy-Authorization") != want {
				w.WriteHeader(http.StatusProxyAuthRequired)
				return
			}
		}
		if r.Method != http.MethodConnect {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
		join(conn, target)
	})
}

// socks speaks as much of SOCKS5 as clients need.
func (p *Proxy) socks(conn net.Conn, target string) {
	defer conn.Close()
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(conn, b)
		return b
	}
	offered := read(int(read(2)[1]))
	method := byte(0)
	if p.URL.User != nil {
		method = 2
	}
	if !slices.Contains(offered, method) {
		_, _ = conn.Write([]byte{5, 0xff})
		return
	}
	_, _ = conn.Write([]byte{5, method})
	if method == 2 {
		user := string(read(int(read(2)[1])))
		password := string(read(int(read(1)[0])))
		if want, _ := p.URL.User.Password(); user != p.URL.User.Username() || password != want {
			_, _ = conn.Write([]byte{1, 1})
			return
		}
		_, _ = conn.Write([]byte{1, 0})
	}
	head := read(5)
	host := string(read(int(head[4])))
	port := read(2)
	p.note(host)
	if strings.HasPrefix(host, "refused") {
		_, _ = conn.Write([]byte{5, 2, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	_, _ = conn.Write(append([]byte{5, 0, 0, 3, 4, 'n', 'a', 'm', 'e'}, port...))
	join(conn, target)
}

// join passes on what two ends say until one of them ends it.
func join(conn net.Conn, target string) {
	defer conn.Close()
	other, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer other.Close()
	var once sync.Once
	ended := make(chan struct{})
	for _, pair := range [][2]net.Conn{{conn, other}, {other, conn}} {
		go func() {
			_, _ = io.Copy(pair[0], pair[1])
			once.Do(func() { close(ended) })
		}()
	}
	<-ended
}
