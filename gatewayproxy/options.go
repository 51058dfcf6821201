// The settings of a Proxy, each with its default.

package gatewayproxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Defaults of the options below.
const (
	DefaultGateway = "wss://gateway.discord.gg"
	DefaultAPI     = "https://discord.com"
	DefaultLinger  = time.Minute
)

// Option changes one default of [New].
type Option func(*Proxy) error

// WithGateway sets where bots are connected that do not resume: the gateway's
// address, wss or ws, without a path; [DefaultGateway] by default. It may be
// reached through the proxy, and so may the hosts of [WithHosts]; where it is not
// set, so may every gateway of Discord's.
func WithGateway(address string) Option {
	return func(p *Proxy) error {
		at, err := parseGateway("gateway", address)
		if err != nil {
			return err
		}
		delete(p.hosts.also, p.hosts.front.host)
		p.hosts.front = at
		p.hosts.discords = address == DefaultGateway
		p.hosts.also[at.host] = at
		return nil
	}
}

// WithHosts names more gateways that bots may be connected to, wss or ws, as
// resume_gateway_url may name them. Nobody is connected to any other host.
func WithHosts(addresses ...string) Option {
	return func(p *Proxy) error {
		for _, address := range addresses {
			at, err := parseGateway("gateway host", address)
			if err != nil {
				return err
			}
			p.hosts.also[at.host] = at
		}
		return nil
	}
}

// WithExternal sets the address under which bots reach the proxy, such as
// wss://gateway.example.org: what the URLs in READY and in GET /gateway/bot begin
// with. By default it is the host by which the bot has come.
func WithExternal(address string) Option {
	return func(p *Proxy) error {
		u, err := url.Parse(strings.TrimSuffix(address, "/"))
		if err != nil || (u.Scheme != "ws" && u.Scheme != "wss") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
			return &gatewayqueue.InvalidError{Field: "external address", Value: fmt.Sprintf("%q", address), Want: "such as wss://gateway.example.org, with a path or without"}
		}
		p.external = u.String()
		return nil
	}
}

// WithAPI sets the base address of Discord's HTTP API, without /api;
// [DefaultAPI] by default. GET /api/gateway and /api/gateway/bot are asked there,
// with the caller's own token. If whole, every other request below /api goes there
// as well, for libraries that have one base address for all.
func WithAPI(base string, whole bool) Option {
	return func(p *Proxy) error {
		u, err := url.Parse(strings.TrimSuffix(base, "/"))
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.User != nil {
			return &gatewayqueue.InvalidError{Field: "API address", Value: fmt.Sprintf("%q", base), Want: "such as " + DefaultAPI + ", without a query or a password"}
		}
		p.api, p.wholeAPI = u, whole
		return nil
	}
}

// WithLinger sets for how long a bot that hangs up while its IDENTIFY is held keeps
// its place in line; [DefaultLinger], a minute, by default. 0 to an hour. Nobody
// waits for it meanwhile: it is passed over until it is back.
func WithLinger(d time.Duration) Option {
	return func(p *Proxy) error {
		if d < 0 || d > time.Hour {
			return &gatewayqueue.InvalidError{Field: "linger", Value: d, Want: "0 to 1h"}
		}
		p.linger = d
		return nil
	}
}

// WithMostHeld bounds how long an IDENTIFY is held before the bot is sent away
// (4000), to come back and stand where it stood; for ever, the default, is 0.
func WithMostHeld(d time.Duration) Option {
	return func(p *Proxy) error {
		if d < 0 {
			return &gatewayqueue.InvalidError{Field: "most held", Value: d, Want: "0, which is for ever, or more"}
		}
		p.mostHeld = d
		return nil
	}
}

// WithLateDial has the proxy dial Discord only when it is about to send IDENTIFY or
// RESUME, and say HELLO to the bot and answer its heartbeats itself until then. It
// is for the case that Discord closes connections which do not identify for long.
// heartbeat is the interval that HELLO asks for; Discord's is 41.25 s.
func WithLateDial(heartbeat time.Duration) Option {
	return func(p *Proxy) error {
		if heartbeat < time.Second || heartbeat > 5*time.Minute {
			return &gatewayqueue.InvalidError{Field: "heartbeat", Value: heartbeat, Want: "1s to 5m"}
		}
		p.late = heartbeat
		return nil
	}
}

// WithTLSConfig sets how Discord is verified; by default by the system's
// authorities.
func WithTLSConfig(config *tls.Config) Option {
	return func(p *Proxy) error { p.dialer.TLS = config; return nil }
}

// WithNetDial sets how connections to Discord are opened. The default is a
// net.Dialer, through the proxy that the environment names (HTTPS_PROXY, NO_PROXY).
func WithNetDial(dial func(ctx context.Context, network, addr string) (net.Conn, error)) Option {
	return func(p *Proxy) error { p.dialer.NetDial = dial; return nil }
}

// WithTransport sets how Discord's HTTP API is asked; [http.DefaultTransport] by
// default.
func WithTransport(rt http.RoundTripper) Option {
	return func(p *Proxy) error { p.transport = rt; return nil }
}

// WithLogger sets where the proxy says what it does; [slog.Default] by default. No
// token is ever in it.
func WithLogger(l *slog.Logger) Option {
	return func(p *Proxy) error { p.log = l; return nil }
}

// WithObserver sets a function that hears every [Event]. It is called from the
// goroutine in which it happened, and must return quickly.
func WithObserver(f func(Event)) Option {
	return func(p *Proxy) error { p.observe = f; return nil }
}
