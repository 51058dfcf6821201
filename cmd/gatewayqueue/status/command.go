// Package status looks at a running queue, from one snapshot at a time: in Redis,
// or through a server.
package status

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/look"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
)

type config struct {
	look.Flags
	Watch time.Duration
	JSON  bool
	All   bool   // all queues of the Redis
	Sort  string // empty for the first order of the table
	Match string // only rows that match it
}

// sorts are the orders of the buckets.
var sorts = []string{"bucket", "waiting", "opens"}

// view is what is shown at first.
func (c *config) view() picture.View {
	orders := sorts
	if c.All {
		orders = allSorts
	}
	return picture.View{Sort: max(0, slices.Index(orders, c.Sort)), Filter: c.Match}
}

// snapshot is what one look has shown.
type snapshot look.Snapshot

type looker func(context.Context) (snapshot, error)

// Command is gatewayqueue status.
func Command() *cobra.Command {
	var c config
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Look at a running queue: its budget, buckets and lines",
		Long: `Look at a running queue: its budget, and for each bucket whether it is open, for
how long it is closed and by whom, and who waits. It only reads.

A bucket is closed for a window after an IDENTIFY; "permit" means that its holder
is still dialling, "held" that all buckets are closed: after a change of limits
until the old windows are over, after a loss of state for 10 s, or by hand. A place
in a line is written as shard@pod, without the tail that makes the pod's name
unique; --json has whole tickets. A pod is dead once its lease is over, and counts
no more. A replica can be looked at, too: then it says so, in --json with
"replica": true.

With --watch on a terminal it fills the screen: ? shows the keys, q quits, and the
last picture stays. Into a file or a pipe it writes plain lines. --sort and
--filter say what is shown at first, on a terminal too.

Every flag is also an environment variable: --app is GATEWAYQUEUE_APP.`,
		Example: `  gatewayqueue status --redis redis://127.0.0.1:6379 --app 1234567890
  gatewayqueue status --url http://127.0.0.1:8080    a server's queue, in memory too
  gatewayqueue status --watch                        again every second, until q
  gatewayqueue status --all                          every queue of the Redis, a row each
  gatewayqueue status --sort waiting --filter web-2  where that pod waits, longest line first
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
	c.Define(flags)
	flags.BoolVar(&c.All, "all", false, "all queues of the Redis, a row each (a server has one)")
	cli.Choice(flags, &c.Sort, "sort", append(slices.Clone(sorts), allSorts[0], allSorts[2]), "`ORDER`: bucket, waiting (longest line first) or opens (next\nfirst); with --all: app, waiting or left (least first)")
	cli.Text(flags, &c.Match, "filter", "only buckets, or with --all queues, that match this `TEXT`: the\nnumber of a shard, or a part of a name or of a state")
	cli.Every(flags, &c.Watch, "watch", 100*time.Millisecond, time.Hour, "go on looking, every second or as told: --watch=5s")
	flags.BoolVar(&c.JSON, "json", false, "print the snapshot as JSON; with --watch, one a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := c.Settle(flags); err != nil {
			return err
		}
		if err := c.together(flags.Changed("app")); err != nil {
			return err
		}
		if c.All {
			return runAll(cmd.Context(), c, cmd.OutOrStdout())
		}
		return run(cmd.Context(), c, cmd.OutOrStdout())
	}
	return cmd
}

// together refuses what does not go together.
func (c *config) together(app bool) error {
	switch {
	case c.All && c.URL != "":
		return cli.Usage("--all needs --redis: a server has one queue")
	case c.All && app:
		return cli.Usage("--all and --app do not go together")
	case c.JSON && (c.Sort != "" || c.Match != ""):
		return cli.Usage("--sort and --filter do not go with --json: it has everything")
	case c.All && c.Sort != "" && !slices.Contains(allSorts, c.Sort), !c.All && c.Sort != "" && !slices.Contains(sorts, c.Sort):
		return cli.Usage("--sort is %q: want bucket, waiting or opens, and with --all app, waiting or left", c.Sort)
	}
	return nil
}

func run(ctx context.Context, c config, out io.Writer) (err error) {
	from, err := c.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	look := func(ctx context.Context) (snapshot, error) {
		s, err := from.Look(ctx)
		return snapshot(s), err
	}
	if c.JSON {
		return printJSON(ctx, out, c.Watch, look)
	}
	var last seen
	take := func(ctx context.Context) error {
		s, err := look(ctx)
		if ctx.Err() == nil {
			last.take(s, err)
		}
		return err
	}
	if c.Watch > 0 && picture.IsTerminal(out) {
		return watch(ctx, out, c, take, last.screen)
	}
	return printScreens(ctx, out, c, take, func() picture.Screen { return last.status.screen() })
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

func printJSON(ctx context.Context, out io.Writer, every time.Duration, look looker) error {
	to := printable.JSON(out)
	if every == 0 {
		to.SetIndent("", "  ")
	}
	return repeat(ctx, every, func() error {
		s, err := look(ctx)
		if err != nil {
			return err
		}
		return to.Encode(s)
	})
}

// printScreens prints one picture, or one after the other, each as long as it is.
func printScreens(ctx context.Context, out io.Writer, c config, take func(context.Context) error, screen func() picture.Screen) error {
	again := false
	return repeat(ctx, c.Watch, func() error {
		if err := take(ctx); err != nil {
			return err
		}
		width, _ := picture.Size(out)
		lines, _ := picture.Draw(screen(), c.view(), width, 0)
		if again {
			lines = append([]string{""}, lines...)
		}
		again = true
		_, err := picture.Fprintln(out, strings.Join(lines, "\n"))
		return err
	})
}
