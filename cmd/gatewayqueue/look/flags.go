// Package look finds a running queue, in a Redis or behind a server, and takes
// snapshots of it: for the commands that only look.
package look

import (
	"github.com/spf13/pflag"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

const defaultRedis = "redis://127.0.0.1:6379"

// Flags say which queue: --redis, --redis-file, --app, --url and --auth-token-file.
type Flags struct {
	Redis         store.Flags
	App           string // with Redis; may be left out where that has one queue only
	URL, AuthFile string // of a server

	appGiven bool
	auth     string
}

// Define defines them.
func (f *Flags) Define(flags *pflag.FlagSet) {
	f.App = redisqueue.DefaultApp
	f.Redis.Define(flags, "`URL` of the Redis, redis://[[user]:password@]host:port[/db], or\nrediss://, unix:///socket, redis-sentinel://host:port/mymaster,\nredis-cluster://host:port (default: $REDIS_URL, or\n"+defaultRedis+")")
	cli.App(flags, &f.App, "application ID; may be left out where Redis has one queue only")
	flags.Lookup("app").DefValue = ""
	cli.Text(flags, &f.URL, "url", "`URL` of a server (gatewayqueue serve) rather than of its Redis")
	cli.Text(flags, &f.AuthFile, "auth-token-file", "with --url: `FILE` with the server's token (or the token in\n$GATEWAYQUEUE_AUTH_TOKEN)")
}

// Settle fills in what depends on other flags and the environment, and refuses
// what does not go together. It sets every flag of the command from its variable.
func (f *Flags) Settle(flags *pflag.FlagSet) (err error) {
	typed := flags.Changed("app") // the environment may have one for other commands
	if err := cli.FromEnv(flags, nil); err != nil {
		return err
	}
	// The machine's REDIS_URL is the bot's business where there is a --url.
	if err := f.Redis.Settle(flags, f.URL == ""); err != nil {
		return err
	}
	f.appGiven = flags.Changed("app")
	switch {
	case f.URL != "" && f.Redis.Redis != "":
		return cli.Usage("--url and --redis do not go together: the queue is behind one of them")
	case f.URL != "" && typed:
		return cli.Usage("--app needs --redis: a server has one queue")
	case f.URL != "":
		f.auth, err = cli.Secret("auth-token-file", f.AuthFile, cli.EnvName("auth-token"))
		return err
	case f.AuthFile != "":
		return cli.Usage("--auth-token-file needs --url")
	case f.Redis.Redis == "":
		f.Redis.Redis = defaultRedis
	}
	return nil
}
