// Package wait blocks until a shard may identify, and then becomes the command
// that does it: for scripts, and for languages that have no client.
package wait

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/remote"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Exit codes, as timeout(1) and env(1) have them: a command's own are mostly
// below.
const (
	exitTimeout  = 124 // --timeout passed
	exitFailed   = 125 // the queue refused, or a setting is wrong
	exitCannot   = 126 // the command cannot be run
	exitNotFound = 127 // there is no such command
)

// shardEnv tells the command which shard it is.
const shardEnv = "GATEWAYQUEUE_SHARD"

type config struct {
	Shard int
	store.Flags
	URL, App            string
	Legacy, Quiet       bool
	Margin, Timeout     time.Duration
	Replicas            int
	AuthFile, TokenFile string
	command             []string
	auth, token         string
}

// noShard is the shard that nobody named.
const noShard = -1

// defaultMargin is for a program that has to start and to dial: what varies in
// that is more than the 250 ms of a connection that is open already.
const defaultMargin = time.Second

// Command is gatewayqueue wait.
func Command() *cobra.Command {
	c := config{Shard: noShard, App: redisqueue.DefaultApp, Margin: defaultMargin}
	cmd := &cobra.Command{
		Use:   "wait --shard N [flags] [-- command ...]",
		Short: "Block until a shard may identify, then run a command",
		Long: `Block until shard N may send IDENTIFY. Then exit with 0, or become the command
after --, which is to identify soon: signals reach it, and its exit code is this
one's. It finds the shard in $` + shardEnv + `, and no other variable
that begins with ` + cli.EnvPrefix + `, as these may hold a server's token; REDIS_URL and
DISCORD_TOKEN are its own, and stay.

The window of 5 s starts at the grant, so the next shard of the bucket comes
5 s and the margin later. The margin has to cover how much longer this command
may take from its start to IDENTIFY than the next: its average does not matter. A
program that starts slowly, or unevenly, asks the queue itself, right before
IDENTIFY, and gets more shards up in less time. Nothing lies between the grant and
the command: with --redis the answer may take 250 ms and the start 100 ms, which
are added to the margin, and with anything later it waits again.

Without --url and --redis it asks the server on 127.0.0.1:8080. Every flag is also
an environment variable: --shard is GATEWAYQUEUE_SHARD. REDIS_URL does as well.

Exit codes:
  0     granted; with a command, its own code instead
  2     a flag is refused, or the Redis URL is invalid
  124   --timeout passed, or is known to pass first: nothing was spent
  125   the queue refused, or the server's URL is invalid
  126   the command cannot be run: a unit of the budget was spent
  127   there is no such command, which is known before waiting
  130   interrupted, 143 terminated: it has left the line, and spent nothing unless
        it says so
SIGHUP, as of a terminal that closes, is no reason to leave: it keeps its place.
So does a process that was stopped (Ctrl-Z), once it goes on.`,
		Example: `  gatewayqueue wait --shard 3 --redis redis://127.0.0.1:6379 --app 1234567890 -- ./bot --shard 3
  gatewayqueue wait --shard 3 --url http://queue:8080 --timeout 10m && ./bot --shard 3
  gatewayqueue wait --shard 3 --url http://gateway-queue --legacy`,
	}
	c.define(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := c.settle(cmd.Flags(), args); err != nil {
			return err
		}
		return run(cmd.Context(), &c)
	}
	return cmd
}

func (c *config) define(flags *pflag.FlagSet) {
	flags.SortFlags = false
	cli.Int(flags, &c.Shard, "shard", 0, gatewayqueue.MaxShard, "shard ID that is to identify")
	cli.Text(flags, &c.URL, "url", "`URL` of a queue server (default:\nhttp://127.0.0.1:8080)")
	flags.BoolVar(&c.Legacy, "legacy", false, "the server speaks only gateway-queue's route")
	cli.Text(flags, &c.AuthFile, "auth-token-file", "`FILE` with the server's token (or the token in\n$GATEWAYQUEUE_AUTH_TOKEN)")
	c.Define(flags, "`URL` of a Redis rather than of a server,\nredis://[[user]:password@]host:port[/db], or\nrediss://, unix:///socket,\nredis-sentinel://host:port,host:port/mymaster,\nredis-cluster://host:port,host:port")
	cli.App(flags, &c.App, "with --redis: application ID")
	cli.Text(flags, &c.TokenFile, "discord-token-file", "with --redis: `FILE` with the bot token, to read\nthe limits from Discord (or in $DISCORD_TOKEN);\nwithout, those in Redis are used")
	cli.Duration(flags, &c.Margin, "margin", 0, time.Minute, "with --redis: added to the 5 s after the grant. A\nserver has its own, and adds at least 1 s; one\nof --legacy is told by serve --margin")
	cli.Int(flags, &c.Replicas, "replicas", 0, 100, "with --redis: a grant counts once so many replicas\nhave it; the same as every server and bot of this\nqueue, the number of all replicas (default: 0)")
	cli.Duration(flags, &c.Timeout, "timeout", 0, 7*24*time.Hour, "wait no longer than that (default: for ever)")
	flags.BoolVar(&c.Quiet, "quiet", false, "say nothing on standard error but what went wrong")
	for _, name := range []string{"shard", "replicas", "timeout"} {
		flags.Lookup(name).DefValue = "" // said in words
	}
}

func (c *config) settle(flags *pflag.FlagSet, args []string) (err error) {
	if n := flags.ArgsLenAtDash(); n > 0 || n < 0 && len(args) > 0 {
		return cli.Usage("argument %q is not wanted: the command to run comes after --", args[0])
	}
	c.command = args
	if err := cli.FromEnv(flags, map[string]string{"discord-token-file": "DISCORD_TOKEN_FILE"}); err != nil {
		return err
	}
	// The machine's REDIS_URL is the bot's business where there is a --url.
	if err := c.Settle(flags, c.URL == ""); err != nil {
		return err
	}
	if c.auth, err = cli.Secret("auth-token-file", c.AuthFile, cli.EnvName("auth-token")); err != nil {
		return err
	}
	if c.token, err = cli.Secret("discord-token-file", c.TokenFile, "DISCORD_TOKEN"); err != nil {
		return err
	}
	switch {
	case c.Shard == noShard:
		return cli.Usage("--shard is missing: want the ID of the shard that is to identify")
	case c.URL != "" && c.Redis != "":
		return cli.Usage("--url and --redis do not go together: the queue is behind one of them")
	case c.Legacy && c.Redis != "":
		return cli.Usage("--legacy needs --url")
	case c.Redis == "" && flags.Changed("margin"):
		return cli.Usage("--margin needs --redis: a server has its own, serve --margin")
	case c.Redis == "" && flags.Changed("replicas"):
		return cli.Usage("--replicas needs --redis: a server has its own, serve --replicas")
	}
	if c.URL == "" {
		c.URL = "http://127.0.0.1:8080"
	}
	return nil
}

// run waits, and then becomes the command.
func run(parent context.Context, c *config) error {
	var program string
	if len(c.command) > 0 {
		var err error
		if program, err = exec.LookPath(c.command[0]); err != nil {
			return cli.WithCode(exitNotFound, err)
		}
	}
	ctx, cancel := context.WithCancel(parent)
	if c.Timeout > 0 {
		ctx, cancel = context.WithTimeout(parent, c.Timeout)
	}
	defer cancel()
	keepPlace(c.note)
	q, err := c.open(ctx)
	if err != nil {
		return verdict(parent, c, err)
	}
	env := environment(c.Shard) // all that takes time is done before the grant
	begun := time.Now()
	s := start{
		wait: func() error { return q.Wait(ctx, c.Shard) },
		say: func() {
			c.note("shard %d may identify, after %s", c.Shard, cli.Short(time.Since(begun).Round(10*time.Millisecond)))
		},
		late: func(age time.Duration) {
			c.note("the grant was %v old before the command could start: waiting again", age)
		},
		stopped: func() error { return context.Cause(parent) },
		become: func() error {
			if program == "" {
				return nil
			}
			return cli.WithCode(exitCannot, become(program, c.command, env))
		},
	}
	granted, err := s.run()
	if granted { // the queue is left open, because to close it takes time: its lease ends by itself
		return err
	}
	err = told(parent, q.queue, c.Shard, err)
	return verdict(parent, c, q.explain(errors.Join(err, q.Close())))
}

// environment is the command's: this one's without the settings and secrets of
// gatewayqueue itself, and with the shard.
func environment(shard int) []string {
	env := slices.DeleteFunc(os.Environ(), func(variable string) bool { return strings.HasPrefix(variable, cli.EnvPrefix) })
	return append(env, shardEnv+"="+strconv.Itoa(shard))
}

// note says something on standard error.
func (c *config) note(format string, args ...any) {
	if !c.Quiet {
		fmt.Fprintln(os.Stderr, printable.Text(fmt.Sprintf("gatewayqueue wait: "+format, args...)))
	}
}

// noteBlocked says why it waits, at most once a minute for each reason.
func (c *config) noteBlocked(e gatewayqueue.Event) {
	var blocked *gatewayqueue.BlockedError
	if e.Kind == gatewayqueue.EventBlocked && errors.As(e.Err, &blocked) {
		c.note("%s", strings.TrimPrefix(cli.OneLine(blocked), "gatewayqueue: "))
	}
}

// verdict is the error that ends the program, in words of those who have typed it.
func verdict(parent context.Context, c *config, err error) error {
	if cause := context.Cause(parent); cause != nil {
		return cause // a signal
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return cli.WithCode(exitTimeout, late(c, err))
	}
	return cli.WithCode(exitFailed, err)
}

// queue is what wait needs of one.
type queue interface {
	gatewayqueue.Queue
	Close() error
}

// opened is a queue, and how the errors of what is behind it read.
type opened struct {
	queue
	explain func(error) error
}

func (c *config) open(ctx context.Context) (opened, error) {
	o := opened{explain: func(err error) error { return remote.Explain(err, c.URL, c.auth != "") }}
	var err error
	switch {
	case c.Redis != "":
		return c.openRedis(ctx)
	case c.Legacy:
		o.queue, err = httpqueue.NewLegacyClient(c.URL, c.options()...)
	default:
		o.queue, err = httpqueue.NewClient(c.URL, append(c.options(), httpqueue.WithWaitMargin(c.Margin))...)
	}
	return o, o.explain(err)
}

func (c *config) openRedis(ctx context.Context) (opened, error) {
	redis, err := store.Lazy(c.Redis)
	if err != nil {
		return opened{}, err
	}
	if err := redis.Meet(ctx, c.App, func(message string, err error) { c.note("%s: %s", message, cli.OneLine(err)) }); err != nil {
		return opened{}, errors.Join(err, redis.Close())
	}
	margin := min(c.Margin+replyWithin+startWithin, time.Minute)
	options := []redisqueue.Option{
		redisqueue.WithApp(c.App), redisqueue.WithMargin(margin), redisqueue.WithMarginLeft(margin - replyWithin),
		redisqueue.WithPermitLease(leaseBeside(margin - replyWithin)), redisqueue.WithReplicas(c.Replicas),
		redisqueue.WithLogger(slog.New(slog.DiscardHandler)), redisqueue.WithObserver(c.noteBlocked),
	}
	if c.token != "" {
		options = append(options, redisqueue.WithLimitSource(redisqueue.DiscordLimits(nil, c.token)))
	}
	q, err := redisqueue.New(redis.Client, options...)
	if err != nil {
		return opened{}, errors.Join(err, redis.Close())
	}
	return opened{queue: q, explain: func(err error) error { return redis.ExplainValue(ctx, err, c.App) }}, nil
}

// leaseBeside is the permit lease of a pod that leaves so much of the margin to its caller.
// It waits for no permits, but how slow Redis may be goes by their lease, and with that how
// long after a loss of state no pod may grant: by default no longer than other pods want.
func leaseBeside(left time.Duration) time.Duration {
	const window, slow = gatewayqueue.IdentifyDelay, 2 * time.Second // replies may be at least so slow
	return window + gatewayqueue.IdentifiedMargin + max(window-left, slow)
}

func (c *config) options() []httpqueue.ClientOption {
	if c.auth == "" {
		return nil
	}
	return []httpqueue.ClientOption{httpqueue.WithToken(c.auth)}
}
