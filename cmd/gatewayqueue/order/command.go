// Package order is what operators order of a queue: that it grants nothing for now, or
// goes on; and what was ordered before.
package order

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/look"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
	"github.com/gatewayqueue/gatewayqueue/httpqueue"
)

// answerWithin is how long a Redis or a server may take.
const answerWithin = 10 * time.Second

// config is what the flags of an order say.
type config struct {
	look.Flags
	order gatewayqueue.Order
	isNew bool // the application need not have a queue yet
}

// Pause is gatewayqueue pause.
func Pause() *cobra.Command {
	var c config
	cmd := &cobra.Command{
		Use:   "pause",
		Short: "Stop the grants of a queue, for a while or until they are resumed",
		Long: `Stop the grants of a queue: no shard may identify, in any pod, until the pause is
over or gatewayqueue resume ends it. Waiting shards keep their places. What was
granted before may still be used, and running sessions are not touched.

gatewayqueue status, the dashboard and the logs of the pods show who ordered it
and why; gatewayqueue audit lists the last orders. Through a server (--url) it
takes the server's token.

An application that has no queue yet is refused, as it may be a slip of the pen;
with --new it is paused before its first start.

Every flag is also an environment variable: --app is GATEWAYQUEUE_APP.`,
		Example: `  gatewayqueue pause --why "Discord is down" --redis redis://127.0.0.1:6379 --app 1234567890
  gatewayqueue pause --why "new intents" --for 30m --url http://queue:8080`,
		Args: cli.NoArgs,
	}
	flags := c.define(cmd)
	cli.Duration(flags, &c.order.For, "for", time.Second, 366*24*time.Hour, "how long it lasts (default: until somebody resumes)")
	flags.Lookup("for").DefValue = "" // said in words
	flags.BoolVar(&c.isNew, "new", false, "with --app: pause it though it has no queue yet")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := c.settle(flags); err != nil {
			return err
		}
		return c.run(cmd.Context(), cmd.OutOrStdout(), true)
	}
	return cmd
}

// Resume is gatewayqueue resume.
func Resume() *cobra.Command {
	var c config
	cmd := &cobra.Command{
		Use:   "resume",
		Short: "Let a paused queue grant again",
		Long: `Let a paused queue grant again: its lines go on where they stood, within 1.5 s
(half a pod's lease).
Through a server (--url) it takes the server's token.

Every flag is also an environment variable: --app is GATEWAYQUEUE_APP.`,
		Example: `  gatewayqueue resume --why "Discord is up again" --redis redis://127.0.0.1:6379`,
		Args:    cli.NoArgs,
	}
	flags := c.define(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := c.settle(flags); err != nil {
			return err
		}
		return c.run(cmd.Context(), cmd.OutOrStdout(), false)
	}
	return cmd
}

func (c *config) define(cmd *cobra.Command) *pflag.FlagSet {
	flags := cmd.Flags()
	flags.SortFlags = false
	c.order.Who = whoami()
	line := func(most int) func(string) bool {
		return func(s string) bool {
			return len(s) <= most && gatewayqueue.Order{Who: "x", Why: s}.Validate() == nil
		}
	}
	cli.Checked(flags, &c.order.Why, "why", "TEXT", "the reason, for people who find the queue paused; required", "1 to 300 bytes of text in one line", line(300))
	cli.Checked(flags, &c.order.Who, "who", "NAME", "who orders it (default: this user and host)", fmt.Sprintf("1 to %d bytes of text in one line", httpqueue.MaxWho), line(httpqueue.MaxWho))
	flags.Lookup("who").DefValue = "" // said in words
	c.Define(flags)
	return flags
}

func (c *config) settle(flags *pflag.FlagSet) error {
	if err := c.Settle(flags); err != nil {
		return err
	}
	if c.order.Why == "" {
		return cli.Usage(`--why is missing: want the reason, such as --why "Discord is down"`)
	}
	return nil
}

// whoami is this user and host, as far as they are known.
func whoami() string {
	name := os.Getenv("USER")
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	if name = strings.Trim(name, "@"); len(name) > httpqueue.MaxWho || (gatewayqueue.Order{Who: name, Why: "x"}).Validate() != nil {
		return "gatewayqueue"
	}
	return name
}

// run gives the order, and says what has become of it.
func (c *config) run(ctx context.Context, out io.Writer, pause bool) (err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	queue, err := c.OpenOrders(ctx, c.isNew)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, queue.Close()) }()
	status, err := queue.Status(ctx)
	if err != nil {
		return queue.Explain(err)
	}
	text := "paused " + queue.Name + " " + until(c.order.For)
	switch {
	case pause:
		err = queue.Pause(ctx, c.order)
	default:
		err = queue.Resume(ctx, c.order)
		text = "resumed " + queue.Name
	}
	switch was := status.Pause; {
	case err != nil:
		return queue.Explain(err)
	case was != nil && pause:
		text += "; it was " + was.String()
	case was != nil:
		text += ", which was " + was.String()
	case !pause:
		text = queue.Name + " was not paused"
	}
	if pause && status.App != "" && status.Epoch == "" {
		text += "; there is no such queue yet"
	}
	if _, err = fmt.Fprintln(out, printable.Text(text)); err != nil { // the order is given all the same
		err = fmt.Errorf("%s, but that cannot be written: %w", text, err)
	}
	return err
}

func until(d time.Duration) string {
	if d == 0 {
		return "until it is resumed"
	}
	return "for " + cli.Short(d)
}

// Audit is gatewayqueue audit.
func Audit() *cobra.Command {
	var c look.Flags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List who has paused and resumed a queue, and why",
		Long: `List the last ` + strconv.Itoa(gatewayqueue.AuditKept) + ` orders to pause a queue and to resume it, the latest first: when,
what, who and why. Times are of Redis's clock, shown in this machine's zone.

Every flag is also an environment variable: --app is GATEWAYQUEUE_APP.`,
		Args: cli.NoArgs,
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	c.Define(flags)
	flags.BoolVar(&asJSON, "json", false, "print them as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if err := c.Settle(flags); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), answerWithin)
		defer cancel()
		queue, err := c.OpenOrders(ctx, false)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, queue.Close()) }()
		audit, err := queue.Audit(ctx)
		if err == nil && len(audit) == 0 {
			err = queue.Missing(ctx)
		}
		if err != nil {
			return queue.Explain(err)
		}
		return list(cmd.OutOrStdout(), audit, asJSON)
	}
	return cmd
}

func list(out io.Writer, audit []gatewayqueue.AuditEntry, asJSON bool) error {
	if asJSON {
		to := printable.JSON(out)
		to.SetIndent("", "  ")
		return to.Encode(append([]gatewayqueue.AuditEntry{}, audit...))
	}
	for _, e := range audit {
		what := e.What
		if e.For > 0 {
			what += " for " + cli.Short(e.For)
		}
		line := fmt.Sprintf("%s  %s by %s: %s", e.Time.Local().Format(time.DateTime), what, e.Who, e.Why)
		if _, err := fmt.Fprintln(out, printable.Text(line)); err != nil {
			return err
		}
	}
	var err error
	switch {
	case len(audit) == 0:
		_, err = fmt.Fprintln(out, "nobody has paused or resumed this queue")
	case len(audit) >= gatewayqueue.AuditKept:
		_, err = fmt.Fprintf(out, "orders before these %d are not kept\n", gatewayqueue.AuditKept)
	}
	return err
}
