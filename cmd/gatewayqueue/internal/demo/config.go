// Package demo brings up the shards of a made-up bot through the real queue:
// several pods, one Redis, and a judge that is told of every IDENTIFY.
package demo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
)

// How a shard gets its turn.
const (
	modeWait    = "wait"    // Queue.Wait, then IDENTIFY
	modeAcquire = "acquire" // PermitQueue.Acquire, dial, IDENTIFY, Identified
)

// config is what the flags say.
type config struct {
	Shards, MaxConcurrency, Pods int
	Total, Remaining             int
	Window, Margin, Dial         time.Duration
	Mode                         string
	Processes, KillPod           bool
	store.Flags
	App         string
	Keep, Plain bool
	Plot        string
	Seed        int
}

// defaultConfig brings up four shards in each of four buckets: three windows,
// which take about 16 s.
func defaultConfig() config {
	return config{
		Shards: 16, MaxConcurrency: 4, Pods: 4, Total: 1000, Remaining: 1000,
		Window: gatewayqueue.IdentifyDelay, Margin: gatewayqueue.GrantMargin, Dial: 150 * time.Millisecond,
		Mode: modeWait, Seed: 1,
	}
}

func (c *config) define(flags *pflag.FlagSet) {
	flags.SortFlags = false
	cli.Int(flags, &c.Shards, "shards", 1, 4096, "shards to bring up")
	cli.Int(flags, &c.MaxConcurrency, "max-concurrency", 1, 1024, "buckets: shards that may identify in one window")
	cli.Int(flags, &c.Pods, "pods", 1, 128, "pods that share the shards")
	cli.Int(flags, &c.Total, "total", 1, 1_000_000, "the daily budget")
	cli.Int(flags, &c.Remaining, "remaining", 0, 1_000_000, "what is left of it today (default: all of it)")
	cli.Duration(flags, &c.Window, "window", 50*time.Millisecond, 30*time.Second, "Discord's window; shorter ones are for tests")
	cli.Duration(flags, &c.Margin, "margin", 0, time.Minute, "what the queue adds to a window\n(default "+cli.Short(c.Margin)+"; with --mode acquire "+cli.Short(gatewayqueue.IdentifiedMargin)+")")
	cli.Choice(flags, &c.Mode, "mode", []string{modeWait, modeAcquire}, "whether a shard is connected before it queues (wait),\nor dials once it has a permit (acquire)")
	cli.Duration(flags, &c.Dial, "dial", 0, time.Minute, "median time of a simulated dial (default "+cli.Short(c.Dial)+" with\n--mode acquire). With --mode wait it comes after the\ngrant, and the judge sees why that is wrong")
	flags.BoolVar(&c.Processes, "processes", false, "make every pod a process of its own")
	flags.BoolVar(&c.KillPod, "kill-pod", false, "kill one pod half-way (SIGKILL with --processes); another one\ntakes its shards over")
	c.Define(flags, "`URL` of a real Redis, redis://[[user]:password@]host:port[/db],\nrediss://, unix:///socket, redis-sentinel://host:port/mymaster,\nredis-cluster://host:port (default: one embedded in the demo)")
	cli.App(flags, &c.App, "application ID in Redis (default: demo-<random>)")
	flags.BoolVar(&c.Keep, "keep", false, "with --redis, leave the demo's keys there")
	cli.Text(flags, &c.Plot, "plot", "draw the timeline into `FILE`, which ends in .svg")
	flags.BoolVar(&c.Plain, "plain", false, "print lines rather than a live view; so it is where the\noutput is no terminal")
	cli.Int(flags, &c.Seed, "seed", 0, 1<<30, "for dial times and who comes first")
	for _, name := range []string{"remaining", "margin", "dial"} {
		flags.Lookup(name).DefValue = "" // said in words
	}
}

// settle fills in the defaults that depend on other flags, and refuses flags
// that do not go together.
func (c *config) settle(flags *pflag.FlagSet) error {
	// Not from the environment: a demo does not write to the bot's Redis unasked.
	if err := c.Settle(flags, false); err != nil {
		return err
	}
	if !flags.Changed("remaining") {
		c.Remaining = c.Total
	}
	if !flags.Changed("margin") && c.Mode == modeAcquire {
		c.Margin = gatewayqueue.IdentifiedMargin
	}
	if !flags.Changed("dial") && c.Mode == modeWait {
		c.Dial = 0
	}
	switch {
	case c.Remaining > c.Total:
		return cli.BadFlag("remaining", c.Remaining, fmt.Sprintf("0 to --total, which is %d", c.Total))
	case c.Pods > c.Shards:
		return cli.BadFlag("pods", c.Pods, fmt.Sprintf("1 to --shards, which is %d", c.Shards))
	case c.KillPod && c.Shards < 2:
		return cli.Usage("--kill-pod needs 2 --shards or more: it kills half-way")
	case c.Keep && c.Redis == "":
		return cli.Usage("--keep needs --redis: the embedded Redis ends with the demo")
	}
	return checkPlot(c.Plot)
}

// checkPlot refuses before the demo runs what could not be written after it.
func checkPlot(file string) error {
	if file == "" {
		return nil
	}
	if !strings.EqualFold(filepath.Ext(file), ".svg") {
		return cli.BadFlag("plot", fmt.Sprintf("%q", file), "a file that ends in .svg")
	}
	if dir, err := os.Stat(filepath.Dir(file)); err != nil || !dir.IsDir() {
		return cli.BadFlag("plot", fmt.Sprintf("%q", file), "a file in a directory that exists")
	}
	return nil
}

func (c *config) limit() gatewayqueue.SessionStartLimit {
	return gatewayqueue.SessionStartLimit{
		Total: c.Total, Remaining: c.Remaining, ResetAfter: gatewayqueue.LimitPeriod, MaxConcurrency: c.MaxConcurrency,
	}
}

// closes is how long one identify closes its bucket.
func (c *config) closes() time.Duration { return c.Window + c.Margin }

// step is the time between two identifies of a bucket that nothing delays.
func (c *config) step() time.Duration {
	if c.Mode == modeAcquire {
		return c.closes() + c.Dial
	}
	return c.closes()
}

// restart is how long the pod that takes over needs to come up.
func (c *config) restart() time.Duration { return c.Window / 5 }

// podLease keeps the queue's own 3 s in proportion to a scaled window.
func (c *config) podLease() time.Duration {
	return min(3*time.Second, max(50*time.Millisecond, c.Window*3/5))
}
