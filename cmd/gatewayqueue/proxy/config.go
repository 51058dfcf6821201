// Package proxy is package gatewayproxy as a program: it stands between bots of any
// library and Discord, and holds every IDENTIFY until its turn.
package proxy

import (
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/server"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

const (
	dialEarly = "early"
	dialLate  = "late"

	// lateHeartbeat is the interval that HELLO asks for with --dial late: Discord's.
	lateHeartbeat = 41250 * time.Millisecond

	// defaultConnections is as many as serve has waiters: more than the files of most
	// machines allow.
	defaultConnections = 16384
)

// config is what flags and environment say.
type config struct {
	store.Flags
	server.Settings
	server.QueueSettings
	server.Address
	External          string
	API               bool
	Linger, MaxHold   time.Duration
	Dial              string
	Refresh, Margin   time.Duration
	Storm, StormFloor int
	FreshStart        bool
	MaxConnections    int
	TLSCert, TLSKey   string
	Pod               string
	Gateway           string
	GatewayHosts      []string
	Discord           string        // base address of Discord's API, without /api
	window            time.Duration // Discord's, or a test's
	linked            []string      // variables of flags that are a platform's
}

func defaultConfig() config {
	return config{
		Settings: server.DefaultSettings(), QueueSettings: server.DefaultQueueSettings(),
		Address: server.Address{Host: "127.0.0.1", Port: 7777},
		Linger:  gatewayproxy.DefaultLinger, Dial: dialEarly,
		Refresh: redisqueue.DefaultRefresh, Margin: gatewayqueue.IdentifiedMargin,
		Storm:          gatewayproxy.DefaultStorm,
		MaxConnections: defaultConnections,
		Gateway:        gatewayproxy.DefaultGateway, Discord: gatewayproxy.DefaultAPI,
		window: gatewayqueue.IdentifyDelay,
	}
}

func (c *config) define(flags *pflag.FlagSet) {
	flags.SortFlags = false
	c.DefineAddress(flags)
	c.Define(flags, "`URL` of the Redis that all proxies share,\nredis://[[user]:password@]host:port[/db], or\nrediss://, unix:///socket,\nredis-sentinel://host:port,host:port/mymaster,\nredis-cluster://host:port,host:port (default:\nnone, one queue in memory for each bot)")
	cli.Text(flags, &c.External, "external", "`URL` by which bots reach the proxy, such as\nwss://gateway.example.org: sessions resume there\n(default: the one by which each bot has come)")
	flags.BoolVar(&c.API, "api", false, "pass the whole of Discord's API on, for libraries\nwith one base address for API and gateway, such as\ndiscord.js")

	cli.Duration(flags, &c.Linger, "linger", 0, time.Hour, "how long a bot that hangs up while it waits keeps\nits place in line")
	cli.Duration(flags, &c.MaxHold, "max-hold", 0, 24*time.Hour, "send a bot away after it has waited for so long\n(4000), to come back to its place (default: never)")
	cli.Choice(flags, &c.Dial, "dial", []string{dialEarly, dialLate}, "dial Discord when a bot connects, or late: when its\nturn has come, for the case that Discord closes\nconnections that do not identify for long")
	cli.Int(flags, &c.Storm, "storm", 1, 10_000_000, "refused sessions a minute, in the whole fleet, that\nare a storm: it is logged once")
	cli.Int(flags, &c.StormFloor, "storm-floor", 0, 10_000_000, "with --redis: identifies that are left for what\ncomes after a storm")

	cli.Duration(flags, &c.Refresh, "refresh", time.Second, 24*time.Hour, "how often Discord is asked for a bot's limits")
	cli.Duration(flags, &c.Margin, "margin", gatewayqueue.IdentifiedMargin, time.Minute, "added to the 5 s after an IDENTIFY has left, for\nwhat its way to Discord may vary")
	c.DefineQueue(flags, "")
	flags.BoolVar(&c.FreshStart, "fresh-start", false, "grant at once where nothing is known of a bot: no\nshard of it has identified in the last 5 s. Without\nit a queue that starts empty stays closed for a\nwindow, one on Redis for 10 s. Risky where Redis may\nhave been emptied: an identify of just before is\nfollowed too soon")

	cli.Int(flags, &c.MaxConnections, "max-connections", 1, 1_000_000, "bots' connections at a time; each needs two of the\nfiles that the process may open")
	cli.Text(flags, &c.TLSCert, "tls-cert", "`FILE` with the certificate, in PEM, to speak TLS\n(wss://); it is read again when it changes")
	cli.Text(flags, &c.TLSKey, "tls-key", "`FILE` with its key, in PEM")
	c.DefineAuth(flags, "/v1 and /metrics ask\nfor")
	cli.Name(flags, &c.Pod, "pod", "NAME", "name of this proxy in the queue, and for others\n(default: the host's)")
	c.DefineLog(flags)
	c.DefineEnd(flags)

	cli.Text(flags, &c.Gateway, "gateway", "`URL` of the gateway, for a fake Discord. Then no\nother host may be reached but those of\n--gateway-host")
	cli.List(flags, &c.GatewayHosts, "gateway-host", "URLS", "more gateways that sessions may resume at", "addresses with commas between them", func(s string) (string, bool) { return s, s != "" })
	cli.Text(flags, &c.Discord, "discord-api", "base `URL` of Discord's API, without /api, for a\nfake Discord")
	cli.Duration(flags, &c.window, "window", 10*time.Millisecond, time.Minute, "Discord's window; shorter ones are for tests")
	flags.Lookup("window").Hidden = true
	flags.Lookup("max-hold").DefValue = "" // said in words
}

// settle reads the environment, and refuses what does not go together. HOST and PORT
// are no settings here, as they are of serve: beside a bot, where a proxy mostly is,
// they may be the bot's.
func (c *config) settle(flags *pflag.FlagSet) error {
	if err := cli.FromEnv(flags, nil); err != nil {
		return err
	}
	c.linked = cli.LinkedNames(flags, nil)
	if err := c.Settle(flags, true); err != nil {
		return err
	}
	if err := c.SettleAuth(); err != nil {
		return err
	}
	if c.Redis == "" {
		if err := c.NeedRedis(flags, "storm-floor", "history"); err != nil {
			return err
		}
	}
	switch {
	case c.MaxHold > 0 && c.Linger == 0:
		return cli.Usage("--max-hold needs --linger: a bot that is sent away would lose its place")
	case c.TLSCert != "" && c.TLSKey == "":
		return cli.Usage("--tls-cert needs --tls-key")
	case c.TLSKey != "" && c.TLSCert == "":
		return cli.Usage("--tls-key needs --tls-cert")
	}
	return c.addresses()
}

// addresses checks URLs. They are not shown: one may hold a password.
func (c *config) addresses() error {
	if c.External != "" && !isWebSocket(c.External, true) {
		return cli.Usage("--external is no address of a proxy: want one such as wss://gateway.example.org")
	}
	if !isWebSocket(c.Gateway, false) {
		return cli.Usage("--gateway is no gateway's address: want one such as %s, without a path", gatewayproxy.DefaultGateway)
	}
	for _, host := range c.GatewayHosts {
		if !isWebSocket(host, false) {
			return cli.Usage("--gateway-host is no gateway's address: want one such as wss://gateway-us-east1-b.discord.gg, without a path")
		}
	}
	c.Discord = versioned.ReplaceAllString(c.Discord, "")
	if u, err := url.Parse(c.Discord); err != nil || !server.IsAPI(c.Discord) || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return cli.Usage("--discord-api is no base address: want one such as %s", gatewayproxy.DefaultAPI)
	}
	return nil
}

// versioned is what serve's --discord-api, and Discord's documentation, have at the end.
var versioned = regexp.MustCompile(`(/api(/v\d+)?)?/*$`)

// limitsAPI is where limits are asked for: the version is that of package redisqueue.
func (c *config) limitsAPI() string { return c.Discord + "/api/v10" }

// isWebSocket says whether an address is one that a WebSocket connects to, with a path
// or without.
func isWebSocket(address string, path bool) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "ws" || u.Scheme == "wss") && u.Hostname() != "" && u.User == nil && u.RawQuery == "" && u.Fragment == "" &&
		(path || strings.Trim(u.Path, "/") == "")
}

// name is by which others know this proxy.
func (c *config) name() string {
	if c.Pod != "" {
		return c.Pod
	}
	host, err := os.Hostname()
	if err != nil {
		return ""
	}
	return host
}

// options are the flags as the proxy's.
func (c *config) options() []gatewayproxy.Option {
	options := []gatewayproxy.Option{
		gatewayproxy.WithGateway(c.Gateway), gatewayproxy.WithHosts(c.GatewayHosts...), gatewayproxy.WithAPI(c.Discord, c.API),
		gatewayproxy.WithLinger(c.Linger), gatewayproxy.WithMostHeld(c.MaxHold), gatewayproxy.WithStorm(c.Storm, c.StormFloor),
		gatewayproxy.WithName(c.name()),
	}
	if c.External != "" {
		options = append(options, gatewayproxy.WithExternal(c.External))
	}
	if c.Dial == dialLate {
		options = append(options, gatewayproxy.WithLateDial(lateHeartbeat))
	}
	return options
}
