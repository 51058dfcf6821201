// Package status looks at a running queue, from one snapshot at a time.
package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

const defaultURL = "redis://127.0.0.1:6379"

type config struct {
	store.Flags
	App      string
	Watch    time.Duration
	JSON     bool
	appGiven bool
}

// Command is gatewayqueue status.
func Command() *cobra.Command {
	c := config{App: redisqueue.DefaultApp}
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Look at a running queue: its budget, buckets and lines",
		Long: `Look at a running queue: its budget, and for each bucket whether it is open, for
how long it is closed and by whom, and who waits. It only reads.

A bucket is closed for a window after an IDENTIFY; "permit" means that its holder
is still dialling, "held" that all buckets are closed: after a change of limits
until the old windows are over, after a loss of state for 10 s. A place in a line
is written as shard@pod, without the tail that makes the pod's name unique;
--json has whole tickets. A replica can be looked at, too: then it says so, in
--json with "replica": true.

Every flag is also an environment variable: --app is GATEWAYQUEUE_APP.`,
		Example: `  gatewayqueue status --redis redis://127.0.0.1:6379 --app 1234567890
  gatewayqueue status --watch            anew every second, until q or Ctrl-C
  gatewayqueue status --json | jq .budget.remaining`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && cmd.Flags().Changed("watch") {
				return cli.Usage("argument %q is not wanted: a time for --watch is written as --watch=%s", args[0], args[0])
			}
			return cli.NoArgs(cmd, args)
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	c.Define(flags, "`URL` of the Redis, redis://[[user]:password@]host:port[/db], or\nrediss://, unix:///socket, redis-sentinel://host:port/mymaster,\nredis-cluster://host:port (default: $REDIS_URL, or\n"+defaultURL+")")
	cli.App(flags, &c.App, "application ID; may be left out where Redis has one queue only")
	flags.Lookup("app").DefValue = ""
	cli.Every(flags, &c.Watch, "watch", 100*time.Millisecond, time.Hour, "go on looking, every second or as told: --watch=5s")
	flags.BoolVar(&c.JSON, "json", false, "print the snapshot as JSON; with --watch, one a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := cli.FromEnv(flags, nil); err != nil {
			return err
		}
		if err := c.Settle(flags, true); err != nil {
			return err
		}
		if c.Redis == "" {
			c.Redis = defaultURL
		}
		c.appGiven = flags.Changed("app")
		return run(cmd.Context(), c, cmd.OutOrStdout())
	}
	return cmd
}

// snapshot is a status, and where it is from.
type snapshot struct {
	gatewayqueue.Status
	// Replica says that it was read from a replica, which may lag and grants
	// nothing. It is left out for a primary, and where the user may not ask (INFO).
	Replica bool `json:"replica,omitempty"`
}

func run(ctx context.Context, c config, out io.Writer) (err error) {
	redis, err := store.Open(ctx, c.Redis)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	if c.App, err = choose(ctx, c, redis); err != nil {
		return err
	}
	client := redis.Impatient()
	defer client.Close()
	queue, err := redisqueue.New(client, redisqueue.WithApp(c.App), redisqueue.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, queue.Close()) }()
	look := func() (snapshot, error) {
		s, err := queue.Status(ctx)
		if err != nil {
			return snapshot{}, redis.Explain(err)
		}
		return snapshot{s, redis.IsReplica(ctx, client)}, nil
	}
	switch {
	case c.JSON:
		return printJSON(ctx, out, c.Watch, look)
	case c.Watch > 0 && picture.IsTerminal(out):
		return watch(ctx, out, c, look)
	default:
		return printPicture(ctx, out, c.Watch, look)
	}
}

// choose settles on an application that has a queue.
func choose(ctx context.Context, c config, redis *store.Store) (string, error) {
	if exists, err := redis.HasQueue(ctx, c.App); exists || err != nil {
		return c.App, err
	}
	apps, err := redis.Apps(ctx)
	switch {
	case err != nil:
		return "", err
	case len(apps) == 0:
		return "", fmt.Errorf("there is no queue in Redis at %s: is it the right server and database? "+
			"A queue is there from the first Wait of a pod", redis)
	case len(apps) == 1 && !c.appGiven:
		return apps[0], nil
	}
	if !c.appGiven {
		return "", fmt.Errorf("Redis at %s has %d queues: choose one with --app: %s", redis, len(apps), some(apps)) //nolint:staticcheck // A name.
	}
	return "", fmt.Errorf("application %s has no queue in Redis at %s: --app may be %s", c.App, redis, some(apps))
}

// some are the first of many names.
func some(names []string) string {
	const most = 10
	if len(names) > most {
		names = append(slices.Clone(names[:most]), fmt.Sprintf("... (%d more)", len(names)-most))
	}
	return strings.Join(names, ", ")
}

// repeat calls show once, or at intervals until ctx ends.
func repeat(ctx context.Context, every time.Duration, show func() error) error {
	for {
		if err := show(); err != nil || every == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(every):
		}
	}
}

func printJSON(ctx context.Context, out io.Writer, every time.Duration, look func() (snapshot, error)) error {
	to := json.NewEncoder(out)
	if every == 0 {
		to.SetIndent("", "  ")
	}
	return repeat(ctx, every, func() error {
		s, err := look()
		if err != nil {
			return err
		}
		return to.Encode(s)
	})
}

func printPicture(ctx context.Context, out io.Writer, every time.Duration, look func() (snapshot, error)) error {
	return repeat(ctx, every, func() error {
		s, err := look()
		if err != nil {
			return err
		}
		_, err = picture.Fprintln(out, strings.Join(draw(s, picture.Width(out), 0), "\n"))
		return err
	})
}
