// Every field of gorilla's Dialer, as the libraries use it: it works with the
// gate and the limiter, or what is refused is named.

package e2e

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/discordgoqueue"
	"github.com/gatewayqueue/gatewayqueue/disgoqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn/conntest"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

// greeter is a gateway that takes one IDENTIFY, compressed or not, and answers
// READY.
func greeter(t *testing.T, encrypted bool) (wsURL, addr string, config *tls.Config) {
	t.Helper()
	upgrader := websocket.Upgrader{EnableCompression: true, Subprotocols: []string{"discord"}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer ws.Close()
		_ = ws.WriteMessage(websocket.TextMessage, []byte(conntest.Hello))
		_, text, err := ws.ReadMessage()
		if err == nil && strings.Contains(string(text), `"op":2`) {
			_ = ws.WriteMessage(websocket.TextMessage, []byte("READY "+ws.Subprotocol()+" "+r.Header.Get("Cookie")))
		}
		_, _, _ = ws.ReadMessage()
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if !encrypted {
		server.Start()
		t.Cleanup(server.Close)
		return "ws" + strings.TrimPrefix(server.URL, "http"), server.Listener.Addr().String(), nil
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	return "wss" + strings.TrimPrefix(server.URL, "https"), server.Listener.Addr().String(), &tls.Config{RootCAs: roots, ServerName: "example.com"}
}

// identifyOnce is what a library does, up to READY.
func identifyOnce(ctx context.Context, d *websocket.Dialer, wsURL string) (string, error) {
	ws, _, err := d.DialContext(ctx, wsURL, nil)
	if err != nil {
		return "", err
	}
	defer ws.Close()
	if _, _, err := ws.ReadMessage(); err != nil {
		return "", err
	}
	if err := ws.WriteMessage(websocket.TextMessage, []byte(conntest.IdentifyText)); err != nil {
		return "", err
	}
	_, ready, err := ws.ReadMessage()
	return string(ready), err
}

// adapter is the gate or the limiter.
type adapter struct {
	dial, dialTLS func(ctx context.Context, network, addr string) (net.Conn, error)
	wait          func(context.Context) error
	end           func()
}

type adapterOptions struct {
	tls   *tls.Config
	proxy func(*http.Request) (*url.URL, error)
}

var adapters = map[string]func(gatewayqueue.PermitQueue, adapterOptions) adapter{
	"discordgo": func(queue gatewayqueue.PermitQueue, o adapterOptions) adapter {
		opts := []discordgoqueue.Option{discordgoqueue.WithTLSConfig(o.tls)}
		if o.proxy != nil {
			opts = append(opts, discordgoqueue.WithProxy(o.proxy))
		}
		gate := discordgoqueue.New(queue, 0, opts...)
		return adapter{gate.DialContext, gate.DialTLSContext, func(context.Context) error { return nil }, gate.Close}
	},
	"disgo": func(queue gatewayqueue.PermitQueue, o adapterOptions) adapter {
		opts := []disgoqueue.Option{disgoqueue.WithTLSConfig(o.tls)}
		if o.proxy != nil {
			opts = append(opts, disgoqueue.WithProxy(o.proxy))
		}
		limiter := disgoqueue.New(queue, opts...)
		wait := func(ctx context.Context) error { return limiter.Wait(ctx, 0) }
		return adapter{limiter.DialContext, limiter.DialTLSContext, wait, func() { limiter.Unlock(0); limiter.Close(context.Background()) }}
	},
}

func TestADialersFieldsWorkOrAreNamed(t *testing.T) {
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	never := func(string, string) (net.Conn, error) { return nil, io.ErrClosedPipe }
	for name, c := range map[string]struct {
		set    func(d *websocket.Dialer, wsURL *url.URL, t *testing.T)
		ready  string // what READY must say
		refuse string // what the error must say
		only   string // ws or wss
	}{
		"nothing": {set: func(*websocket.Dialer, *url.URL, *testing.T) {}},
		"those of the default dialer": {set: func(d *websocket.Dialer, _ *url.URL, _ *testing.T) {
			d.Proxy, d.HandshakeTimeout = websocket.DefaultDialer.Proxy, websocket.DefaultDialer.HandshakeTimeout
		}},
		"NetDial": {set: func(d *websocket.Dialer, _ *url.URL, _ *testing.T) { d.NetDial = never }},
		"TLSClientConfig": {set: func(d *websocket.Dialer, _ *url.URL, _ *testing.T) {
			d.TLSClientConfig = &tls.Config{ServerName: "wrong"}
		}},
		"EnableCompression": {set: func(d *websocket.Dialer, _ *url.URL, _ *testing.T) { d.EnableCompression = true }},
		"Subprotocols": {
			set:   func(d *websocket.Dialer, _ *url.URL, _ *testing.T) { d.Subprotocols = []string{"discord"} },
			ready: "READY discord ",
		},
		"Jar": {
			set: func(d *websocket.Dialer, u *url.URL, _ *testing.T) {
				h := *u
				h.Scheme = strings.Replace(u.Scheme, "ws", "http", 1)
				jar.SetCookies(&h, []*http.Cookie{{Name: "a", Value: strings.Repeat("b", 4000)}})
				d.Jar = jar
			},
			ready: "READY  a=" + strings.Repeat("b", 4000),
		},
		"buffers": {set: func(d *websocket.Dialer, _ *url.URL, _ *testing.T) {
			d.ReadBufferSize, d.WriteBufferSize, d.WriteBufferPool = 16, 16, new(sync.Pool)
		}},
		"HandshakeTimeout": {set: func(d *websocket.Dialer, _ *url.URL, _ *testing.T) { d.HandshakeTimeout = time.Minute }},
		"Proxy, HTTP": {
			set: func(d *websocket.Dialer, _ *url.URL, t *testing.T) {
				d.Proxy = http.ProxyURL(conntest.StartProxy(t, "http", "", nil).URL)
			},
			refuse: "Proxy must be nil",
		},
		"Proxy, SOCKS5": {
			set: func(d *websocket.Dialer, _ *url.URL, t *testing.T) {
				d.Proxy = http.ProxyURL(conntest.StartProxy(t, "socks5", "", nil).URL)
			},
			refuse: "Proxy must be nil",
		},
		"NetDialTLSContext is missing": {
			set:    func(d *websocket.Dialer, _ *url.URL, _ *testing.T) { d.NetDialTLSContext = nil },
			refuse: "NetDialTLSContext must be the queue's too", only: "wss",
		},
	} {
		for library, adapt := range adapters {
			for _, scheme := range []string{"ws", "wss"} {
				if c.only != "" && c.only != scheme {
					continue
				}
				t.Run(name+", "+library+", "+scheme, func(t *testing.T) {
					queue, err := memqueue.New(gatewayqueue.DefaultLimit())
					require.NoError(t, err)
					defer queue.Close()
					wsURL, _, config := greeter(t, scheme == "wss")
					a := adapt(queue, adapterOptions{tls: config})
					d := &websocket.Dialer{NetDialContext: a.dial, NetDialTLSContext: a.dialTLS}
					u, err := url.Parse(wsURL)
					require.NoError(t, err)
					c.set(d, u, t)
					require.NoError(t, a.wait(t.Context()))
					ready, err := identifyOnce(t.Context(), d, wsURL)
					a.end()
					status, statusErr := queue.Status(t.Context())
					require.NoError(t, statusErr)
					if c.refuse != "" {
						assert.ErrorContains(t, err, c.refuse)
						assert.Equal(t, 1000, status.Budget.Remaining)
						return
					}
					require.NoError(t, err)
					assert.Contains(t, ready, "READY")
					if c.ready != "" {
						assert.Equal(t, c.ready, ready)
					}
					assert.Equal(t, 999, status.Budget.Remaining)
				})
			}
		}
	}
}

// A bot that reaches Discord only through a proxy: the queue dials through it,
// and IDENTIFY is seen before it enters the tunnel.
func TestAProxyIsDialledThrough(t *testing.T) {
	for _, kind := range []string{"http", "socks5"} {
		for library, adapt := range adapters {
			for _, scheme := range []string{"ws", "wss"} {
				t.Run(kind+", "+library+", "+scheme, func(t *testing.T) {
					queue, err := memqueue.New(gatewayqueue.DefaultLimit())
					require.NoError(t, err)
					defer queue.Close()
					_, addr, config := greeter(t, scheme == "wss")
					proxy := conntest.StartProxy(t, kind, addr, url.UserPassword("bot", "secret"))
					a := adapt(queue, adapterOptions{tls: config, proxy: http.ProxyURL(proxy.URL)})
					require.NoError(t, a.wait(t.Context()))
					ready, err := identifyOnce(t.Context(), &websocket.Dialer{NetDialContext: a.dial, NetDialTLSContext: a.dialTLS}, scheme+"://gateway.invalid/")
					a.end()
					require.NoError(t, err)
					assert.Contains(t, ready, "READY")
					assert.Len(t, proxy.Asked(), 1)
					status, err := queue.Status(t.Context())
					require.NoError(t, err)
					assert.Equal(t, 999, status.Budget.Remaining)
				})
			}
		}
	}
}

// discordgo's gate waits in line while it dials, so that the time for the
// handshake bounds the wait.
func TestAHandshakeTimeoutInLineIsNamed(t *testing.T) {
	queue, err := memqueue.New(gatewayqueue.DefaultLimit())
	require.NoError(t, err)
	defer queue.Close()
	permit, err := queue.Acquire(t.Context(), 0)
	require.NoError(t, err)
	gate := discordgoqueue.New(queue, 0)
	defer gate.Close()
	wsURL, _, _ := greeter(t, false)
	_, err = identifyOnce(t.Context(), &websocket.Dialer{NetDialContext: gate.DialContext, HandshakeTimeout: 100 * time.Millisecond}, wsURL)
	assert.ErrorContains(t, err, "HandshakeTimeout")
	require.NoError(t, permit.Abandon(t.Context()))
}
