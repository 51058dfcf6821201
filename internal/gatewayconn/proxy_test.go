package gatewayconn

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn/conntest"
)

// site answers every request with "the gateway".
func site(t *testing.T, encrypted bool) (addr string, config *tls.Config) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "the gateway")
	}))
	server.Config.ErrorLog = quiet
	if !encrypted {
		server.Start()
		t.Cleanup(server.Close)
		return server.Listener.Addr().String(), nil
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), &tls.Config{
		RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs, ServerName: "example.com",
	}
}

// talks checks that the site is at the other end.
func talks(t *testing.T, conn net.Conn) {
	t.Helper()
	_, err := io.WriteString(conn, "GET / HTTP/1.0\r\nHost: example.com\r\n\r\n")
	require.NoError(t, err)
	all, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Contains(t, string(all), "the gateway")
	_ = conn.Close()
}

func TestProxy_EachKindLeadsToTheGateway(t *testing.T) {
	for _, scheme := range []string{"http", "https", "socks5", "socks5h"} {
		for _, encrypted := range []bool{false, true} {
			for _, user := range []*url.Userinfo{nil, url.UserPassword("user", "pass word:")} {
				name := scheme
				if encrypted {
					name += ", TLS"
				}
				if user != nil {
					name += ", with a login"
				}
				t.Run(name, func(t *testing.T) {
					addr, config := site(t, encrypted)
					proxy := conntest.StartProxy(t, strings.TrimSuffix(scheme, "h"), addr, user)
					proxy.URL.Scheme = scheme
					d := Dialer{TLS: config}
					if proxy.TLS != nil {
						d.proxyTLS = &tls.Config{RootCAs: proxy.TLS.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
					}
					d.SetProxy(func(r *http.Request) (*url.URL, error) {
						assert.Equal(t, map[bool]string{true: "https", false: "http"}[encrypted], r.URL.Scheme)
						return proxy.URL, nil
					})
					conn, err := d.Dial(t.Context(), "tcp", "gateway.invalid:443", encrypted)
					require.NoError(t, err)
					talks(t, conn)
					require.Len(t, proxy.Asked(), 1)
					assert.Contains(t, proxy.Asked()[0], "gateway.invalid", "the proxy resolves the name")
				})
			}
		}
	}
}

func TestProxy_ErrorsSayWhatIsWrong(t *testing.T) {
	login := url.UserPassword("user", "secret")
	refusing := httptest.NewServer(http.NotFoundHandler())
	defer refusing.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	for name, c := range map[string]struct {
		proxy *url.URL
		want  string
	}{
		"a scheme that is not known": {&url.URL{Scheme: "ftp", Host: "proxy:21"}, `scheme is "ftp", and must be http, https, socks5 or socks5h`},
		"no scheme":                  {&url.URL{Host: "proxy"}, `scheme is ""`},
		"nobody listens":             {&url.URL{Scheme: "http", Host: "127.0.0.1:1"}, "the proxy http://127.0.0.1:1: dial tcp"},
		"no CONNECT":                 {&url.URL{Scheme: "http", Host: refusing.Listener.Addr().String(), User: login}, "answered CONNECT gateway.invalid:443 with 404"},
		"a login that is wanted":     {conntest.StartProxy(t, "http", "", login).URL.ResolveReference(&url.URL{}), "407 Proxy Authentication Required"},
		"the same, SOCKS5":           {conntest.StartProxy(t, "socks5", "", login).URL.ResolveReference(&url.URL{}), "does not take login method 0"},
		"a wrong password, SOCKS5":   {conntest.StartProxy(t, "socks5", "", login).URL.ResolveReference(&url.URL{}), "does not take the user and password"},
		"one that says nothing":      {&url.URL{Scheme: "http", Host: silent.Addr().String()}, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			switch {
			case strings.Contains(name, "wrong password"):
				c.proxy.User = url.UserPassword("user", "secret2")
			case strings.Contains(name, "login"), strings.Contains(name, "same"):
				c.proxy.User = nil
			}
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			var d Dialer
			d.SetProxy(http.ProxyURL(c.proxy))
			_, err := d.Dial(ctx, "tcp", "gateway.invalid:443", true)
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), "secret")
		})
	}
}

func TestProxy_OfTheLibraryIsNamed(t *testing.T) {
	for name, written := range map[string]string{
		"HTTP":          "CONNECT gateway.discord.gg:443 HTTP/1.1\r\n",
		"HTTP, in bits": "C",
		"SOCKS5":        "\x05\x01\x00",
		"SOCKS4":        "\x04\x01",
	} {
		c := Wrap(new(far), time.Hour, Hooks{})
		_, err := c.Write([]byte(written))
		assert.ErrorIs(t, err, ErrProxied, name)
		assert.ErrorContains(t, err, "the dialer's Proxy must be nil", name)
		assert.ErrorContains(t, err, "WithProxy", name)
	}
	c := Wrap(new(far), time.Hour, Hooks{})
	_, err := c.Write([]byte("POST / HTTP/1.1\r\n"))
	assert.ErrorIs(t, err, ErrNoRequest)

	// With TLS it is the proxy that is asked for TLS, and answers without.
	proxy := conntest.StartProxy(t, "http", "", nil)
	_, err = Dialer{}.Dial(t.Context(), "tcp", proxy.URL.Host, true)
	assert.ErrorIs(t, err, ErrProxied)
	socks := conntest.StartProxy(t, "socks5", "", nil)
	_, err = Dialer{}.Dial(t.Context(), "tcp", socks.URL.Host, true)
	assert.ErrorContains(t, err, "Proxy must be nil")
}

// What HTTPS_PROXY names is taken, as by the libraries' own dialers: in a process
// of its own, because net/http reads the environment once.
func TestProxy_OfTheEnvironment(t *testing.T) {
	if addr := os.Getenv("GATEWAYCONN_TEST_SITE"); addr != "" {
		for name, d := range map[string]Dialer{
			"by default": {},
			"but not with NetDial": {NetDial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, addr)
			}},
		} {
			conn, err := d.Dial(t.Context(), "tcp", "gateway.invalid:80", false)
			require.NoError(t, err, name)
			talks(t, conn)
		}
		var direct Dialer
		direct.SetProxy(nil)
		_, err := direct.Dial(t.Context(), "tcp", "gateway.invalid:80", false)
		assert.ErrorContains(t, err, "lookup gateway.invalid")
		return
	}
	addr, _ := site(t, false)
	proxy := conntest.StartProxy(t, "http", addr, nil)
	cmd := exec.Command(os.Args[0], "-test.run=^TestProxy_OfTheEnvironment$", "-test.count=1")
	cmd.Env = append(os.Environ(), "GATEWAYCONN_TEST_SITE="+addr, "HTTP_PROXY="+proxy.URL.String(), "http_proxy="+proxy.URL.String(), "NO_PROXY=", "no_proxy=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, []string{"gateway.invalid:80"}, proxy.Asked())
}

// Compression would hide IDENTIFY: it is not asked for, and so not used.
func TestRequest_AsksForNoExtension(t *testing.T) {
	const line = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n"
	head := "GET /?v=10 HTTP/1.1\r\nHost: x\r\n" + line + "Sec-WebSocket-Protocol: y\r\nCookie: z=1\r\n\r\n"
	for _, step := range []int{1, 7, len(head)} {
		f := new(far)
		c := Wrap(f, time.Hour, Hooks{})
		for p := []byte(head); len(p) > 0; p = p[min(step, len(p)):] {
			write(t, c, p[:min(step, len(p))])
		}
		assert.Equal(t, strings.Replace(head, line, "", 1), f.got.String())
		require.NoError(t, c.Close())
	}
	c := Wrap(new(far), time.Hour, Hooks{})
	_, err := c.Write(append([]byte("GET / HTTP/1.1\r\nCookie: "), bytes.Repeat([]byte("x"), requestLimit)...))
	assert.ErrorIs(t, err, ErrNoRequest)
}
