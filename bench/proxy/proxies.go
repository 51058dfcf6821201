package proxy

// What stands between: gatewayproxy, and the two it is put beside.

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
)

type proxySettings struct {
	Kind           Kind
	Gateway        string
	Authority      []byte // PEM
	MaxConcurrency int
	Window         time.Duration
}

func newProxy(settings []byte) (orders, any, error) {
	var s proxySettings
	if err := json.Unmarshal(settings, &s); err != nil {
		return nil, nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.Authority)
	config := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	switch s.Kind {
	case Relay:
		go relay(listener, s.Gateway, config)
	case Ours:
		if err := ours(listener, s, config); err != nil {
			return nil, nil, err
		}
	case Reencode:
		go reencode(listener, s.Gateway, config)
	default:
		return nil, nil, fmt.Errorf("no proxy %q", s.Kind)
	}
	able := orders{}
	profiled(able, string(s.Kind))
	return able, listener.Addr().String(), nil
}

// relay ends TLS and copies, and does no more.
func relay(listener net.Listener, gateway string, config *tls.Config) {
	for {
		bot, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer bot.Close() //nolint:errcheck // It is over.
			discord, err := tls.Dial("tcp", gateway, config)
			if err != nil {
				return
			}
			defer discord.Close() //nolint:errcheck // The same.
			go func() {
				_, _ = io.Copy(discord, bot)
				_ = discord.Close()
			}()
			_, _ = io.Copy(bot, discord)
		}()
	}
}

// ours is gatewayproxy, as its program runs it.
func ours(listener net.Listener, s proxySettings, config *tls.Config) error {
	limit := gatewayqueue.DefaultLimit()
	limit.Total, limit.Remaining, limit.MaxConcurrency = 1_000_000, 1_000_000, s.MaxConcurrency
	quiet := slog.New(slog.DiscardHandler)
	queue, err := memqueue.New(limit, memqueue.WithWindow(s.Window), memqueue.WithLogger(quiet))
	if err != nil {
		return err
	}
	proxy, err := gatewayproxy.New(gatewayproxy.One(queue), gatewayproxy.WithGateway("wss://"+s.Gateway), gatewayproxy.WithTLSConfig(config), gatewayproxy.WithLogger(quiet))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return nil
}

// reencode is a proxy that knows what it passes: each message is inflated, decoded,
// encoded and deflated, as those do that keep the sessions themselves.
func reencode(listener net.Listener, gateway string, config *tls.Config) {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		discord, _, err := websocket.Dial(r.Context(), "wss://"+gateway+"/?"+r.URL.RawQuery, &websocket.DialOptions{HTTPClient: client}) //nolint:bodyclose // A WebSocket has none.
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer discord.CloseNow() //nolint:errcheck // It is over.
		discord.SetReadLimit(-1)
		bot, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer bot.CloseNow() //nolint:errcheck // The same.
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() {
			defer cancel()
			_ = passed(ctx, bot, discord, false)
		}()
		_ = passed(ctx, discord, bot, r.URL.Query().Get("compress") == "zlib-stream")
	})}
	_ = server.Serve(listener)
}

// envelope is the outside of a payload; a client that keeps sessions reads more.
type envelope struct {
	T  *string         `json:"t"`
	S  *int64          `json:"s"`
	Op int             `json:"op"`
	D  json.RawMessage `json:"d"`
}

// passed passes messages on until one end goes.
func passed(ctx context.Context, from, to *websocket.Conn, packed bool) error {
	next := func() ([]byte, error) {
		_, p, err := from.Read(ctx)
		return p, err
	}
	kind := websocket.MessageText
	var out bytes.Buffer
	var deflate *zlib.Writer
	if packed {
		next, kind, deflate = inflated(next), websocket.MessageBinary, zlib.NewWriter(&out)
	}
	for {
		text, err := next()
		if err != nil {
			return err
		}
		var e envelope
		if err := json.Unmarshal(text, &e); err != nil {
			return err
		}
		text, err = json.Marshal(e)
		if err != nil {
			return err
		}
		if packed {
			out.Reset()
			if _, err := deflate.Write(text); err != nil {
				return err
			}
			if err := deflate.Flush(); err != nil {
				return err
			}
			text = out.Bytes()
		}
		if err := to.Write(ctx, kind, text); err != nil {
			return err
		}
	}
}
