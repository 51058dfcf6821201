// Package plan says whether a fleet may be deployed: by one snapshot of its queue, and
// an exit code.
package plan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/look"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
	"github.com/gatewayqueue/gatewayqueue/rollout"
)

// Exit codes besides 0, which is yes. A command line that is refused is no answer either.
const (
	exitNo      = 1
	exitUnknown = 3
)

type config struct {
	look.Flags
	Shards          int
	At              string
	CrashReserve    rollout.Amount
	Within, Timeout time.Duration
	JSON            bool

	request rollout.Request
}

// Command is gatewayqueue plan.
func Command() *cobra.Command {
	c := &config{Timeout: 10 * time.Second}
	cmd := &cobra.Command{
		Use:   "plan --shards N",
		Short: "Say whether a fleet may be deployed: when it is up, and what that costs",
		Long: `Say whether N shards may identify, now or later: what that costs, when the last of them
is up, what is left of the budget, and when they may otherwise. It only reads.

It goes by the queue as it is: what is left of the day's budget and until when, the
buckets, who stands in line, holds, pauses and storms. The shards 0 to N-1 come at
once; a roll-out that takes its pods one by one takes as long as these do, and costs
the same. That nobody else identifies meanwhile is assumed, and so something is kept
for shards that crash: see --crash-reserve.

Exit codes:
  0     yes
  1     no: the first line says why
  3     unknown, which is no yes: the limits are not known, Redis holds what
        cannot be used, the queue does not answer or is not there yet, or a flag or
        setting is refused

Every flag is also an environment variable: --crash-reserve is
GATEWAYQUEUE_CRASH_RESERVE.`,
		Example: `  gatewayqueue plan --shards 400 --redis redis://127.0.0.1:6379 --app 1234567890
  gatewayqueue plan --shards 400 --at 03:00 --url http://127.0.0.1:8080
  gatewayqueue plan --shards 400 --within 45m --crash-reserve 10% && ./deploy`,
	}
	refuse := func(err error) error {
		if err == nil {
			return nil
		}
		return cli.Verdict(exitUnknown, err)
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error { return refuse(cli.NoArgs(cmd, args)) }
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return refuse(cli.FlagError(cmd, err)) })
	c.define(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := c.settle(cmd.Flags(), time.Now()); err != nil {
			return refuse(err)
		}
		return c.run(cmd.Context(), cmd.OutOrStdout())
	}
	return cmd
}

func (c *config) define(flags *pflag.FlagSet) {
	flags.SortFlags = false
	cli.Int(flags, &c.Shards, "shards", 1, rollout.MaxShards, "shards to deploy: 0 to N-1")
	cli.Text(flags, &c.At, "at", "when: a `TIME` such as 2026-11-28T03:00:00Z, +2h, or 03:00 (the\nnext one, in local time; default: now)")
	cli.Amount(flags, &c.CrashReserve, "crash-reserve", "units, or a share of the total, that must be left at every moment\nfor shards that crash (default: as many as there are shards, at\nmost a quarter of the total)")
	cli.Duration(flags, &c.Within, "within", 0, 7*24*time.Hour, "no, if it takes longer (default: as long as it takes)")
	c.Define(flags)
	cli.Duration(flags, &c.Timeout, "timeout", 100*time.Millisecond, 10*time.Minute, "unknown, if there is no answer by then")
	flags.BoolVar(&c.JSON, "json", false, "print the plan as JSON")
	for _, name := range []string{"shards", "crash-reserve", "within"} {
		flags.Lookup(name).DefValue = "" // said in words
	}
}

func (c *config) settle(flags *pflag.FlagSet, now time.Time) error {
	if err := c.Settle(flags); err != nil {
		return err
	}
	if c.Shards == 0 {
		return cli.Usage("--shards is missing: want how many shards are to be deployed")
	}
	c.request = rollout.Request{Shards: c.Shards, Within: c.Within}
	if flags.Changed("crash-reserve") {
		c.request.CrashReserve = &c.CrashReserve
	}
	if c.At != "" {
		at, err := rollout.ParseMoment(c.At, now)
		var bad *gatewayqueue.InvalidError
		if errors.As(err, &bad) {
			return cli.BadFlag("at", bad.Value, bad.Want)
		}
		c.request.At = at
	}
	return nil
}

func (c *config) run(parent context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(parent, c.Timeout)
	defer cancel()
	answers := make(chan looked, 1)
	go func() { answers <- c.plan(ctx) }()
	var l looked
	select {
	case l = <-answers:
	case <-ctx.Done():
		l.err = ctx.Err()
	}
	switch {
	case parent.Err() != nil:
		return context.Cause(parent)
	case ctx.Err() != nil:
		return cli.Verdict(exitUnknown, fmt.Errorf("no answer within %s", cli.Short(c.Timeout)))
	case l.err != nil:
		return cli.Verdict(exitUnknown, l.err)
	}
	if err := c.print(out, l); err != nil {
		return cli.Verdict(exitUnknown, err)
	}
	switch {
	case l.plan.OK:
		return nil
	case unknown(l.plan):
		return cli.Verdict(exitUnknown, nil)
	}
	return cli.Verdict(exitNo, nil)
}

// looked is a plan, and of what.
type looked struct {
	plan    rollout.Plan
	now     time.Time
	replica bool // of the queue's Redis was asked
	err     error
}

// plan asks the queue, and makes the plan.
func (c *config) plan(ctx context.Context) looked {
	from, err := c.Open(ctx)
	if err != nil {
		return looked{err: err}
	}
	defer func() { go from.Close() }() //nolint:errcheck // The program ends; nothing waits for a server that is slow to part.
	s, err := from.Look(ctx)
	if err != nil {
		return looked{err: err}
	}
	p, err := rollout.NewPlan(s.Status, c.request)
	return looked{p, s.Time, s.Replica, err}
}

func (c *config) print(out io.Writer, l looked) error {
	if c.JSON {
		to := printable.JSON(out)
		to.SetIndent("", "  ")
		return to.Encode(l.plan)
	}
	all := lines(l.plan, l.now)
	if l.replica {
		all = append(all, "Redis    a replica: what it shows may be late; give the URL of its primary, which grants")
	}
	for _, line := range all {
		if _, err := fmt.Fprintln(out, printable.Text(line)); err != nil {
			return err
		}
	}
	return nil
}

// unknown says that there is no plan: nothing is known of the limits, or Redis holds
// what no grant can be made of.
func unknown(p rollout.Plan) bool {
	return p.Reason == gatewayqueue.ReasonSource || p.Reason == gatewayqueue.ReasonStore
}

// lines are a plan for people: first the answer, then what it is made of.
func lines(p rollout.Plan, now time.Time) (all []string) {
	add := func(label, format string, args ...any) {
		all = append(all, fmt.Sprintf("%-8s %s", label, fmt.Sprintf(format, args...)))
	}
	shards := picture.Count(p.Shards, "shard")
	switch {
	case p.OK:
		all = append(all, fmt.Sprintf("yes: %s up in %s, %d of %d units left", shards, picture.Seconds(p.Takes), p.Left, p.Total))
	case unknown(p):
		return []string{"unknown: " + p.Why}
	default:
		all = append(all, "no: "+p.Why)
	}
	if !p.Next.IsZero() {
		add("next", "%s, in %s", moment(p.Next), picture.Seconds(p.Next.Sub(now)))
	} else if !p.OK {
		add("next", "not known")
	}
	if p.At.After(now) {
		add("begins", "%s, in %s", moment(p.At), picture.Seconds(p.At.Sub(now)))
	}
	if p.Ahead > 0 {
		add("in line", "%d, which are granted first and cost a unit each", p.Ahead)
	}
	switch {
	case p.Up.IsZero():
		add("up", "not known")
	case p.At.After(now):
		add("up", "%s, %s after it begins", moment(p.Up), picture.Seconds(p.Takes))
	default:
		add("up", "%s, in %s", moment(p.Up), picture.Seconds(p.Takes))
	}
	for i, period := range p.Periods {
		label := "cost"
		if i > 0 {
			label = "then"
		}
		add(label, "%d of the period that ends %s; %d left", period.Cost, moment(period.Ends), period.Left)
	}
	add("kept", "%d that are never granted, %d for shards that crash", p.Reserve, p.CrashReserve)
	return all
}

// moment is a time of the wall clock, with its zone: logs are read elsewhere.
func moment(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }
