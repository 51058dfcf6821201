// Package check tells monitoring systems how a queue fares: in one line, and by its
// exit code.
package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/look"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
	"github.com/gatewayqueue/gatewayqueue/rollout"
)

type config struct {
	look.Flags
	WarnBudget, CriticalBudget rollout.Amount
	WarnOldest, CriticalOldest time.Duration // 0 is never
	Ignore                     []string
	Timeout                    time.Duration
	JSON                       bool

	ignored map[string]bool
}

// Command is gatewayqueue check.
func Command() *cobra.Command {
	c := &config{
		WarnBudget: rollout.Amount{Percent: 20}, CriticalBudget: rollout.Amount{Percent: 10},
		WarnOldest: 15 * time.Minute, CriticalOldest: time.Hour, Timeout: 10 * time.Second,
	}
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Tell a monitoring system how a queue fares, by one line and an exit code",
		Long: `Look at a queue once, and say in one line what is wrong with it, as plugins of Nagios
and Icinga do: with figures behind a |, and an exit code. It only reads, and never
takes longer than --timeout.

Exit codes:
  0   OK
  1   WARNING   little budget is left; the first in line has waited for long; a hold;
                grants are paused; a storm; a shard backs off, as it identifies too often;
                the limits could not be asked for; the Redis is a replica
  2   CRITICAL  next to no budget is left, or none; the first in line has waited for
                very long; a hold of more than a minute; the limits are unknown, or
                allow nothing; Redis holds what the queue cannot use, or
                takes no writes; Redis, or the server, does not answer
  3   UNKNOWN   a flag or setting is refused; there is no such queue yet; the password
                or token is wrong; the answer cannot be written

Every flag is also an environment variable: --warn-budget is GATEWAYQUEUE_WARN_BUDGET.`,
		Example: `  gatewayqueue check --redis redis://127.0.0.1:6379 --app 1234567890
  gatewayqueue check --url http://127.0.0.1:8080 --warn-budget 400 --critical-budget 15%
  gatewayqueue check --ignore paused,storm --json`,
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error { return c.refuse(cmd, cli.NoArgs(cmd, args)) }
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return c.refuse(cmd, cli.FlagError(cmd, err)) })
	c.define(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := c.settle(cmd.Flags()); err != nil {
			return c.refuse(cmd, err)
		}
		return c.run(cmd.Context(), cmd.OutOrStdout())
	}
	return cmd
}

func (c *config) define(flags *pflag.FlagSet) {
	flags.SortFlags = false
	c.Define(flags)
	cli.Amount(flags, &c.WarnBudget, "warn-budget", "WARNING below so many units of the budget, or such a share of the\ntotal; 0 is never")
	cli.Amount(flags, &c.CriticalBudget, "critical-budget", "CRITICAL below so many; where nothing is left but what is never\ngranted it is CRITICAL in any case")
	cli.Duration(flags, &c.WarnOldest, "warn-oldest", 0, 7*24*time.Hour, "WARNING if the first in line has waited for longer;\n0s is never")
	cli.Duration(flags, &c.CriticalOldest, "critical-oldest", 0, 7*24*time.Hour, "CRITICAL if it has waited for longer")
	cli.List(flags, &c.Ignore, "ignore", "WORDS", "say nothing of these, with commas between them:\n"+strings.Join(ignorable, ", "), strings.Join(ignorable, ", "),
		func(s string) (string, bool) { return s, slices.Contains(ignorable, s) })
	cli.Duration(flags, &c.Timeout, "timeout", 100*time.Millisecond, 10*time.Minute, "CRITICAL if there is no answer by then")
	flags.BoolVar(&c.JSON, "json", false, "print JSON rather than a line")
}

func (c *config) settle(flags *pflag.FlagSet) error {
	if err := c.Settle(flags); err != nil {
		return err
	}
	if c.CriticalOldest > 0 && c.WarnOldest > c.CriticalOldest {
		return cli.BadFlag("warn-oldest", cli.Short(c.WarnOldest), "at most --critical-oldest, which is "+cli.Short(c.CriticalOldest))
	}
	c.ignored = make(map[string]bool)
	for _, what := range c.Ignore {
		c.ignored[what] = true
	}
	return nil
}

// answer is what is printed.
type answer struct {
	State    state     `json:"state"`
	Code     int       `json:"code"`
	Text     string    `json:"text"`
	Problems []problem `json:"problems"`
	Figures  *figures  `json:"figures,omitempty"` // none where there was no answer
	perfdata string
}

// refuse answers a command line that cannot be run.
func (c *config) refuse(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return c.say(cmd.OutOrStdout(), failed(stateUnknown, err))
}

func failed(s state, err error) answer {
	return answer{State: s, Text: cli.OneLine(err), Problems: []problem{}}
}

// say prints an answer, and ends the program with its code.
func (c *config) say(out io.Writer, a answer) error {
	a.Code = int(a.State)
	var err error
	if c.JSON {
		err = printable.JSON(out).Encode(a)
	} else {
		line := fmt.Sprintf("GATEWAYQUEUE %v - %s", a.State, printable.Text(strings.NewReplacer("|", "/", "\n", " ").Replace(a.Text)))
		if a.perfdata != "" {
			line += " | " + a.perfdata
		}
		_, err = fmt.Fprintln(out, line)
	}
	if err != nil { // nobody has read an answer
		return cli.Verdict(int(stateUnknown), err)
	}
	return cli.Verdict(a.Code, nil)
}

// run looks, and answers in time whatever the other end does.
func (c *config) run(parent context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(parent, c.Timeout)
	defer cancel()
	answers := make(chan answer, 1)
	go func() { answers <- c.look(ctx) }()
	select {
	case a := <-answers:
		if parent.Err() == nil {
			return c.say(out, a)
		}
	case <-ctx.Done():
	}
	if parent.Err() != nil {
		return context.Cause(parent)
	}
	return c.say(out, failed(stateCritical, fmt.Errorf("no answer within %s", cli.Short(c.Timeout))))
}

func (c *config) look(ctx context.Context) answer {
	from, err := c.Open(ctx)
	if err != nil {
		return c.trouble(ctx, err)
	}
	defer func() { go from.Close() }() //nolint:errcheck // The program ends; nothing waits for a server that is slow to part.
	s, err := from.Look(ctx)
	if err != nil {
		return c.trouble(ctx, err)
	}
	f, found := figuresOf(s), c.judge(s)
	a := answer{State: worst(found), Text: text(f, found), Problems: found, Figures: &f, perfdata: c.perfdata(f)}
	if a.Problems == nil {
		a.Problems = []problem{}
	}
	return a
}

// ours are errors of the check itself, and not of what it looks at: a password, a token, an address.
var ours = []string{
	"NOAUTH", "WRONGPASS", "NOPERM", "invalid password", "(401)", "(404)", "(501)", "what answers there is not gatewayqueue",
}

// trouble is the answer where there is no snapshot.
func (c *config) trouble(ctx context.Context, err error) answer {
	if ctx.Err() != nil {
		err = fmt.Errorf("no answer within %s", cli.Short(c.Timeout))
	}
	text := cli.OneLine(err)
	unknown := cli.ExitCode(err) == cli.ExitUsage || errors.As(err, new(*look.NoQueueError)) ||
		slices.ContainsFunc(ours, func(part string) bool { return strings.Contains(text, part) })
	if unknown {
		return failed(stateUnknown, err)
	}
	return failed(stateCritical, err)
}
