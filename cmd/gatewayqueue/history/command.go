// Package history shows what a queue granted in the last day, from Redis or through a
// server.
package history

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/look"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
)

type config struct {
	look.Flags
	Each time.Duration
	JSON bool
}

// Command is gatewayqueue history.
func Command() *cobra.Command {
	c := config{Each: time.Hour}
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Look at the last day of a queue: grants, budget and waits",
		Long: `Look at the last 24 hours of a queue: how many shards were granted, what was left of
the budget, and how long those that were granted had waited: half of them (p50), and
99 of 100 (p99), off by 12.3 % at most. It only reads.

Servers and proxies on Redis record it unless --history=false says otherwise, bots by
WithHistory of package redisqueue. It is of all pods that do. A minute counts once it
is over; a pod that was killed leaves out the minute that it was in.

Every flag is also an environment variable: --app is GATEWAYQUEUE_APP.`,
		Example: `  gatewayqueue history --redis redis://127.0.0.1:6379 --app 1234567890
  gatewayqueue history --url http://127.0.0.1:8080    a server's queue, in memory too
  gatewayqueue history --each 10m
  gatewayqueue history --json | jq '.[-1].granted'    each minute as it is`,
		Args: cli.NoArgs,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	c.Define(flags)
	cli.Duration(flags, &c.Each, "each", time.Minute, 24*time.Hour, "how much time a row of the table is about")
	flags.BoolVar(&c.JSON, "json", false, "print the minutes as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := c.Settle(flags); err != nil {
			return err
		}
		return run(cmd.Context(), c, cmd.OutOrStdout())
	}
	return cmd
}

func run(ctx context.Context, c config, out io.Writer) (err error) {
	from, err := c.Open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	minutes, err := from.History(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		if minutes == nil {
			minutes = []gatewayqueue.Minute{} // none, rather than null
		}
		to := printable.JSON(out)
		to.SetIndent("", "  ")
		return to.Encode(minutes)
	}
	_, err = picture.Fprintln(out, strings.Join(day{from.From, minutes, time.Now(), c.Each}.lines(), "\n"))
	return err
}
