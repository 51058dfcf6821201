// Package fakediscord is package gatewaytest as a program: a Discord for bots of
// any language, which judges every IDENTIFY.
package fakediscord

import (
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest/zstdstream"
)

// config is what the flags say.
type config struct {
	Host                             string
	Port, Hosts                      int
	ResumeHost                       string
	TLS                              bool
	TLSNames                         []string
	TLSDir                           string
	MaxConcurrency, Total, Remaining int
	Window, ResetAfter               time.Duration
	Token                            string
	Shards, LeastShards              int
	DisallowedIntents                int
	Latency, Transit, ReadyDelay     string // as gatewaytest.ParseDelay reads them
	Heartbeat, IdentifyWithin        time.Duration
	HeartbeatsExtend                 bool
	Payloads, Replay                 int
	SessionLife                      time.Duration
	Guilds, GuildSize                int
	Messages                         time.Duration
	MessageSize                      int
	For                              time.Duration
	UntilReady                       int
	JSON, Plain, Verbose             bool
}

const day = 24 * time.Hour

func defaultConfig() config {
	limit := gatewayqueue.DefaultLimit()
	return config{
		Host: "127.0.0.1", Port: 8090,
		MaxConcurrency: limit.MaxConcurrency, Total: limit.Total, Remaining: limit.Remaining,
		Window: gatewayqueue.IdentifyDelay, ResetAfter: gatewayqueue.LimitPeriod,
		Token: gatewaytest.DefaultToken, Shards: 1, LeastShards: 1,
		// What a bot near Discord sees.
		Latency: "50ms-150ms", Transit: "10ms-30ms", ReadyDelay: "100ms-500ms",
		Heartbeat: gatewaytest.DefaultHeartbeat, Payloads: gatewaytest.DefaultPayloads, Replay: gatewaytest.DefaultReplay, SessionLife: 5 * time.Minute,
	}
}

func (c *config) define(flags *pflag.FlagSet) {
	flags.SortFlags = false
	cli.Host(flags, &c.Host, "host", "port", "address to listen on; 0.0.0.0 is all of this\nmachine's, :: with those of IPv6")
	cli.Int(flags, &c.Port, "port", 0, 65535, "port to listen on; 0 is a free one, which the\nfirst lines tell")
	flags.BoolVar(&c.TLS, "tls", false, "speak TLS, for libraries that insist on wss")
	cli.Hosts(flags, &c.TLSNames, "tls-name", "more names in the certificate; localhost and\nDiscord's own are there")
	cli.Text(flags, &c.TLSDir, "tls-dir", "`DIRECTORY` that keeps the certificate's authority,\nwhich bots must trust (default: the user's cache)")

	cli.Int(flags, &c.MaxConcurrency, "max-concurrency", 1, gatewayqueue.MaxBuckets, "buckets: shards that may identify in one window")
	cli.Int(flags, &c.Total, "total", 1, 10_000_000, "identifies a day")
	cli.Int(flags, &c.Remaining, "remaining", 0, 10_000_000, "how many are left today (default: all)")
	cli.Duration(flags, &c.ResetAfter, "reset-after", time.Second, day, "until there are --total again")
	cli.Duration(flags, &c.Window, "window", time.Millisecond, time.Minute, "the least time between two identifies of a bucket;\nshorter ones than Discord's are for quick tests")

	cli.Checked(flags, &c.Token, "token", "TOKEN", "the bot's token", "a word without blanks", func(s string) bool { return !strings.ContainsAny(s, " \t\r\n") })
	cli.Int(flags, &c.Shards, "shards", 1, 1<<20, "shards that GET /gateway/bot recommends")
	cli.Int(flags, &c.LeastShards, "least-shards", 1, 1<<20, "an IDENTIFY with fewer shards is closed with 4011")
	cli.Int(flags, &c.DisallowedIntents, "disallowed-intents", 0, 1<<30, "an IDENTIFY with any of these intents (a sum of\nbits) is closed with 4014")

	c.delay(flags, &c.Latency, "latency", "from a request for a connection to HELLO")
	c.delay(flags, &c.Transit, "transit", "from a client's frame to its arrival")
	c.delay(flags, &c.ReadyDelay, "ready-delay", "from IDENTIFY to READY")
	cli.Duration(flags, &c.Heartbeat, "heartbeat", 10*time.Millisecond, time.Hour, "the heartbeat interval; who sends none for two is\nclosed with 4009")
	cli.Duration(flags, &c.IdentifyWithin, "identify-within", 0, day, "close connections that do not identify within so\nlong, with 4009 (default: never)")
	flags.BoolVar(&c.HeartbeatsExtend, "heartbeats-extend", false, "with --identify-within: each heartbeat starts that time again")
	cli.Int(flags, &c.Payloads, "payloads", 0, 1_000_000, "payloads that a connection may send in 60 s before\nit is closed with 4008; 0 is any number")

	cli.Int(flags, &c.Replay, "replay", 0, 1_000_000, "events that a session keeps for a RESUME")
	cli.Duration(flags, &c.SessionLife, "session-life", 0, day, "how long a session without a connection can be\nresumed; 0 is for ever")
	cli.Int(flags, &c.Guilds, "guilds", 0, 2500, "guilds of each shard")
	cli.Int(flags, &c.GuildSize, "guild-size", 0, 64<<20, "bytes of a guild's GUILD_CREATE (default: the least)")
	cli.Duration(flags, &c.Messages, "messages", 0, time.Hour, "give each session a MESSAGE_CREATE so often\n(default: none)")
	cli.Int(flags, &c.MessageSize, "message-size", 0, 1<<20, "bytes of a message's content")
	cli.Int(flags, &c.Hosts, "hosts", 0, 100, "gateway hosts for sessions to live on, each on a\nfree port, to be stopped one by one (default: none)")
	cli.Checked(flags, &c.ResumeHost, "resume-host", "NAME", "name in resume_gateway_url (default: the one by\nwhich the client has come)", "a name or an address without a port", func(s string) bool {
		_, ok := cli.ParseHost(s)
		return ok
	})

	cli.Duration(flags, &c.For, "for", time.Millisecond, 365*day, "end after so long (default: at Ctrl-C or SIGTERM)")
	cli.Int(flags, &c.UntilReady, "until-ready", 1, 1<<20, "end when so many shards are ready at once; to end\nbefore that is a failure")
	flags.BoolVar(&c.JSON, "json", false, "print the verdict as JSON, and nothing else, to\nstandard output")
	flags.BoolVar(&c.Plain, "plain", false, "print lines rather than a live view, which q ends; so\nit is where the output is no terminal")
	flags.BoolVar(&c.Verbose, "verbose", false, "log all that it does to standard error; lines rather\nthan a live view")
	for _, name := range []string{"remaining", "identify-within", "guild-size", "messages", "hosts", "for", "until-ready"} {
		flags.Lookup(name).DefValue = "" // said in words
	}
}

func (c *config) delay(flags *pflag.FlagSet, to *string, name, usage string) {
	cli.Checked(flags, to, name, "DELAY", usage+": a time such as\n300ms, a range such as 100ms-2s, or never", gatewaytest.WantDelay, func(s string) bool {
		_, err := gatewaytest.ParseDelay(s)
		return err == nil
	})
}

// settle fills in what depends on other flags, and refuses what does not go
// together.
func (c *config) settle(flags *pflag.FlagSet) error {
	if !flags.Changed("remaining") {
		c.Remaining = c.Total
	}
	switch {
	case c.Remaining > c.Total:
		return cli.BadFlag("remaining", c.Remaining, fmt.Sprintf("0 to --total, which is %d", c.Total))
	case c.HeartbeatsExtend && c.IdentifyWithin == 0:
		return cli.Usage("--heartbeats-extend needs --identify-within")
	case c.MessageSize > 0 && c.Messages == 0:
		return cli.Usage("--message-size needs --messages")
	case c.GuildSize > 0 && c.Guilds == 0:
		return cli.Usage("--guild-size needs --guilds")
	case !c.TLS && len(c.TLSNames) > 0:
		return cli.Usage("--tls-name needs --tls")
	case !c.TLS && c.TLSDir != "":
		return cli.Usage("--tls-dir needs --tls")
	case c.JSON && c.Plain:
		return cli.Usage("--json and --plain do not go together: --json prints no lines")
	}
	return nil
}

func (c *config) limit() gatewayqueue.SessionStartLimit {
	return gatewayqueue.SessionStartLimit{Total: c.Total, Remaining: c.Remaining, ResetAfter: c.ResetAfter, MaxConcurrency: c.MaxConcurrency}
}

// options are the flags as the server's.
func (c *config) options(listener net.Listener) []gatewaytest.Option {
	options := []gatewaytest.Option{
		gatewaytest.WithListener(listener), gatewaytest.WithHostAsAsked(), gatewaytest.WithHosts(c.Hosts),
		gatewaytest.WithLimit(c.limit()), gatewaytest.WithWindow(c.Window), gatewaytest.WithToken(c.Token),
		gatewaytest.WithShards(c.Shards), gatewaytest.WithLeastShards(c.LeastShards), gatewaytest.WithDisallowedIntents(int64(c.DisallowedIntents)),
		gatewaytest.WithLatency(delayOf(c.Latency)), gatewaytest.WithTransit(delayOf(c.Transit)), gatewaytest.WithReadyDelay(delayOf(c.ReadyDelay)),
		gatewaytest.WithHeartbeat(c.Heartbeat), gatewaytest.WithIdentifyWithin(c.IdentifyWithin, c.HeartbeatsExtend),
		gatewaytest.WithPayloads(c.Payloads, gatewaytest.DefaultPayloadPeriod), gatewaytest.WithReplay(c.Replay), gatewaytest.WithSessionLife(c.SessionLife),
		gatewaytest.WithMessages(c.Messages, c.MessageSize), gatewaytest.WithZstd(zstdstream.New),
	}
	if c.Guilds > 0 {
		options = append(options, gatewaytest.WithGuilds(c.Guilds, c.GuildSize))
	}
	if c.ResumeHost != "" {
		name, _ := cli.ParseHost(c.ResumeHost) // It was checked.
		options = append(options, gatewaytest.WithResumeHost(name))
	}
	return options
}

// delayOf reads what the flag has checked.
func delayOf(text string) gatewaytest.Delay {
	d, _ := gatewaytest.ParseDelay(text)
	return d
}
