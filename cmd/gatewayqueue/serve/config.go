// Package serve is the queue as a service: any process asks it over HTTP.
package serve

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/server"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// known are the variables that others know a flag by: gateway-queue's, and those
// that platforms set.
var known = map[string]string{"host": "HOST", "port": "PORT", "discord-token-file": "DISCORD_TOKEN_FILE"}

// config is what flags and environment say.
type config struct {
	store.Flags
	server.Settings
	server.QueueSettings
	server.Address
	App, Pod                         string
	TokenFile                        string
	MaxConcurrency, Total, Remaining int
	Refresh, Margin                  time.Duration
	MaxWaiters                       int
	NoLegacy, Lenient, FreshStart    bool
	Applications                     bool
	AllowHosts                       []string
	discord                          string // base address, for tests
	window                           time.Duration
	token                            string
	limitGiven                       bool
	linked                           []string // variables of flags that are a platform's
}

func defaultConfig() config {
	limit := gatewayqueue.DefaultLimit()
	return config{
		Settings: server.DefaultSettings(), QueueSettings: server.DefaultQueueSettings(),
		Address: server.Address{Host: "127.0.0.1", Port: 8080}, App: redisqueue.DefaultApp,
		MaxConcurrency: limit.MaxConcurrency, Total: limit.Total, Remaining: limit.Remaining,
		Refresh: redisqueue.DefaultRefresh, Margin: gatewayqueue.GrantMargin,
		MaxWaiters: httpqueue.DefaultMaxWaiters,
		window:     gatewayqueue.IdentifyDelay,
	}
}

func (c *config) define(flags *pflag.FlagSet) {
	flags.SortFlags = false
	c.DefineAddress(flags)
	c.Define(flags, "`URL` of the Redis that all servers share,\nredis://[[user]:password@]host:port[/db], or\nrediss://, unix:///socket,\nredis-sentinel://host:port,host:port/mymaster,\nredis-cluster://host:port,host:port (default:\nnone, the queue is in memory)")
	cli.App(flags, &c.App, "application ID; keeps several bots in one Redis\napart")
	cli.Name(flags, &c.Pod, "pod", "NAME", "name of this server in tickets and status\n(default: the host's)")
	cli.Text(flags, &c.TokenFile, "discord-token-file", "`FILE` with the bot token, to read the limits\nfrom Discord (or the token in $DISCORD_TOKEN)")
	c.DefineAuth(flags, "/v1, /dashboard and\n/metrics ask for")
	cli.Int(flags, &c.MaxConcurrency, "max-concurrency", 0, gatewayqueue.MaxBuckets, "without a bot token: buckets; 0, in memory only,\nis no limit")
	cli.Int(flags, &c.Total, "total", 1, 10_000_000, "without a bot token: identifies a day")
	cli.Int(flags, &c.Remaining, "remaining", 0, 10_000_000, "without a bot token: how many are left today\n(default: all)")
	cli.Duration(flags, &c.Refresh, "refresh", time.Second, 24*time.Hour, "how often Discord is asked for the limits")
	cli.Duration(flags, &c.Margin, "margin", gatewayqueue.IdentifiedMargin, time.Minute, "added to the 5 s after a grant on the legacy\nroute, for what may pass until IDENTIFY; 1s for clients in\nscripting languages on busy machines, 1500ms for\nthose that dial then; permits of /v1 need none")
	c.DefineQueue(flags, ".\nClients that name no shard all count as shard 0")
	cli.Int(flags, &c.MaxWaiters, "max-waiters", 1, 1_000_000, "requests that may wait at a time")
	flags.BoolVar(&c.Applications, "applications", false, "with --redis: the page lists all queues of that\nRedis, and shows each; the user needs +scan")
	flags.BoolVar(&c.NoLegacy, "no-legacy", false, "serve /v1 only, not gateway-queue's route")
	flags.BoolVar(&c.Lenient, "lenient", false, "take anything on gateway-queue's route for a\nclient, as the original does: any method and path,\nand shard 0 where none is named. Each probe and\ncrawler then costs an identify")
	cli.Hosts(flags, &c.AllowHosts, "allow-host", "names by which clients may call a server on\na loopback address without a token, as behind a\nproxy; localhost always may")
	flags.BoolVar(&c.FreshStart, "fresh-start", false, "grant at once where nothing is known of this bot:\nno shard of it has identified in the last 5 s.\nWithout it a queue that starts empty stays closed\nfor a window, one on Redis for 10 s. Risky where\nRedis may have been emptied: an identify of just\nbefore is followed too soon")
	c.DefineLog(flags)
	c.DefineEnd(flags)
	cli.Text(flags, &c.discord, "discord-api", "base address of Discord's API, for tests")
	cli.Duration(flags, &c.window, "window", 10*time.Millisecond, time.Minute, "Discord's window; shorter ones are for tests")
	for _, name := range []string{"discord-api", "window"} {
		flags.Lookup(name).Hidden = true
	}
	flags.Lookup("remaining").DefValue = "" // said in words
}

// settle reads the environment, and refuses what does not go together.
func (c *config) settle(flags *pflag.FlagSet) (err error) {
	if err := cli.FromEnv(flags, known); err != nil {
		return err
	}
	c.linked = cli.LinkedNames(flags, known)
	if err := c.Settle(flags, true); err != nil {
		return err
	}
	if c.token, err = cli.Secret("discord-token-file", c.TokenFile, "DISCORD_TOKEN", cli.EnvName("discord-token")); err != nil {
		return err
	}
	if err := c.SettleAuth(); err != nil {
		return err
	}
	if !flags.Changed("remaining") {
		c.Remaining = c.Total
	}
	for _, name := range []string{"max-concurrency", "total", "remaining"} {
		if flags.Changed(name) {
			c.limitGiven = true
			if c.token != "" {
				return cli.Usage("--%s does not go with a bot token: the limits are Discord's", name)
			}
		}
	}
	switch {
	case c.Remaining > c.Total:
		return cli.BadFlag("remaining", c.Remaining, fmt.Sprintf("0 to --total, which is %d", c.Total))
	case c.Redis != "" && c.MaxConcurrency == 0:
		return cli.Usage("--max-concurrency 0 does not go with --redis: it would switch off every pod's limit")
	case c.discord != "" && !server.IsAPI(c.discord):
		return cli.Usage("--discord-api is no base address: want one such as http://127.0.0.1:8080") // it may hold a password
	}
	if c.Redis == "" {
		return c.NeedRedis(flags, "applications")
	}
	return nil
}

func (c *config) limit() gatewayqueue.SessionStartLimit {
	return gatewayqueue.SessionStartLimit{
		Total: c.Total, Remaining: c.Remaining, ResetAfter: gatewayqueue.LimitPeriod, MaxConcurrency: c.MaxConcurrency,
	}
}

// limitsFrom is where the limits come from, for the log.
func (c *config) limitsFrom() string {
	switch {
	case c.token != "":
		return "Discord"
	case c.Redis != "" && !c.limitGiven:
		return "Redis, or the defaults"
	}
	return fmt.Sprintf("%d of %d left, max_concurrency %d", c.Remaining, c.Total, c.MaxConcurrency)
}
