// The command: flags, and the order of things in one run.

package demo

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// Command is gatewayqueue demo.
func Command() *cobra.Command {
	c := defaultConfig()
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch several pods bring up their shards through one shared queue",
		Long: `Watch several pods bring up their shards through one shared Redis queue, while a
strict judge counts what Discord would punish: two identifies of one bucket
(shard ID % max_concurrency) within a window, and more identifies than the
daily budget allows. Nothing is sent to Discord.

On a terminal it fills the screen: ? shows the keys, q ends it with the summary so
far. It takes about 16 s as it is. It exits with 0 if the judge has nothing to
punish, with 1 if it has or if something fails, with 2 if a flag is refused.`,
		Example: `  gatewayqueue demo                                   16 shards, 4 pods, an embedded Redis
  gatewayqueue demo --processes --kill-pod            pods are processes, and one is killed
  gatewayqueue demo --shards 64 --max-concurrency 16 --pods 8 --plot timeline.svg
  gatewayqueue demo --mode acquire --dial 300ms       shards dial while they hold a permit
  gatewayqueue demo --mode wait --dial 300ms          why permits: the judge objects
  gatewayqueue demo --shards 20 --remaining 12        the budget does not last
  gatewayqueue demo --redis redis://127.0.0.1:6379    a real server, look with redis-cli`,
		Args: cli.NoArgs,
	}
	c.define(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := c.settle(cmd.Flags()); err != nil {
			return err
		}
		return run(cmd.Context(), c, cmd.OutOrStdout())
	}
	cmd.AddCommand(childCommand())
	return cmd
}

// run is one demo.
func run(parent context.Context, c config, out io.Writer) (err error) {
	redis, err := openStore(parent, &c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tidy(c, redis, out)) }()
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)

	judged := time.Now()
	judge := gatewaytest.NewJudge(c.limit(), c.Window)
	f := &fleet{config: c, judge: judge, template: c.template(redis)}
	watch, err := newWatch(f.template, redis)
	if err != nil {
		return err
	}
	defer watch.close()
	screen := newScreen(c, out, judge, watch, redis, cancel)
	f.note, f.moment, watch.note = screen.note, screen.moment, screen.note
	f.ledger = newLedger(c.Shards, c.MaxConcurrency, screen.shard)
	screen.begin(f.ledger)
	closeJudge, err := f.hire(redis)
	if err != nil {
		return err
	}
	defer closeJudge()

	stopWatching := watch.start(ctx, c.pollEvery())
	runErr := f.run(ctx)
	if runErr != nil {
		screen.end() // at once: a pod that was killed takes seconds to close
	}
	calls := f.stop()
	stopWatching()
	screen.end()
	stopped := errors.As(runErr, new(cli.Signalled))
	if runErr != nil && !stopped && !errors.Is(runErr, errEnough) {
		return runErr
	}
	r := newReport(f, watch.now().status, calls, f.ledger.started.Sub(judged))
	r.cut = runErr != nil
	if err := r.nothing(redis.Explain); err != nil {
		return err
	}
	follow := 0
	if c.Plot != "" || c.Keep {
		follow = 1
	}
	if err := screen.summary(r.screen(), follow); err != nil {
		return err
	}
	if stopped {
		return runErr
	}
	if c.Plot != "" {
		if err := r.timeline().Save(c.Plot); err != nil {
			return fmt.Errorf("--plot: %w", err)
		}
		fmt.Fprintf(out, "The timeline is in %s.\n", printable.Text(c.Plot))
	}
	return r.verdict()
}

// openStore connects to Redis, and settles on an application that nobody else
// has there.
func openStore(ctx context.Context, c *config) (*store.Store, error) {
	random := c.App == ""
	if random {
		c.App = "demo-" + strings.ToLower(rand.Text()[:6])
	}
	if c.Redis == "" {
		return store.Embed()
	}
	redis, err := store.Open(ctx, c.Redis)
	if err != nil || random {
		return redis, err
	}
	taken, err := redis.Exists(ctx, c.App)
	if err == nil && taken {
		err = fmt.Errorf("application %s has keys in Redis at %s already, and the demo would spoil them: "+
			"choose another --app, or leave it out", c.App, redis)
	}
	if err != nil {
		return nil, errors.Join(err, redis.Close())
	}
	return redis, nil
}

// tidy leaves no keys behind in a server that was there before.
func tidy(c config, redis *store.Store, out io.Writer) error {
	var err error
	if !redis.Embedded() {
		if c.Keep {
			fmt.Fprintf(out, "The demo's keys are kept: redis-cli -u %s --scan --pattern '%s'\n", printable.Text(redis.String()), store.Pattern(c.App))
		} else {
			ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
			defer cancel()
			_, err = redis.Remove(ctx, c.App)
		}
	}
	return errors.Join(err, redis.Close())
}
