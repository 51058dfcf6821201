// Command bench puts the queue beside what people would use instead, in the
// same run, before a strict judge. scripts/bench runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/bench/contest"
	"github.com/gatewayqueue/gatewayqueue/bench/proxy"
	"github.com/gatewayqueue/gatewayqueue/bench/report"
	"github.com/gatewayqueue/gatewayqueue/bench/sizing"
	"github.com/gatewayqueue/gatewayqueue/bench/suite"
	"github.com/gatewayqueue/gatewayqueue/bench/workload"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(os.Stderr)
	flags.Usage = func() { usage(flags) }
	var (
		runs  = flags.Int("runs", 5, "runs of each contestant in each workload")
		out   = flags.String("out", "", "all: the directory of benchmarks.md and its pictures; quick: the same, none by default")
		only  = flags.String("only", "", "one: contestants, by name, separated by commas")
		micro = flags.String("micro", "", "all and quick: a file with what go test -bench has printed, for the report")
		sim   = flags.String("simulation", "", "all, quick and simulation: the test binary of bench/simulation; without it that section is left out")
		spec  workload.Spec
	)
	flags.IntVar(&spec.Shards, "shards", 256, "one: shards")
	flags.IntVar(&spec.MaxConcurrency, "mc", 16, "one: max_concurrency")
	flags.IntVar(&spec.Pods, "pods", 8, "one: pods")
	flags.DurationVar(&spec.Window, "window", 500*time.Millisecond, "one: window")
	flags.DurationVar(&spec.Margin, "margin", 0, "one: margin of windows that start at a grant")
	flags.DurationVar(&spec.PermitMargin, "permit-margin", 0, "one: margin of windows that start at an identify")
	flags.DurationVar(&spec.Dial, "dial", 0, "one: median time between grant and IDENTIFY, log-normal")
	flags.Float64Var(&spec.DialSigma, "sigma", 0.5, "one: sigma of the dial")
	flags.DurationVar(&spec.Stagger, "stagger", 0, "one: the time over which the shards arrive")
	flags.Float64Var(&spec.Cancelled, "cancelled", 0, "one: share of waiters that give up")
	flags.IntVar(&spec.Killed, "killed", 0, "one: pods that die on the way")
	flags.IntVar(&spec.Budget, "budget", 0, "one: identifies a day; 0 is plenty")
	flags.IntVar(&spec.Windows, "windows", 0, "one: stop after so many windows; 0 is at the end")
	flags.IntVar(&spec.Settle, "settle", 0, "one: with -windows, the windows until all have arrived; 0 is one and a half")
	flags.DurationVar(&spec.PodLease, "pod-lease", 0, "one: lease of our pods; 0 is the default")
	what := "core"
	if len(args) > 0 && args[0] == proxy.Role {
		return proxy.Serve(args[1:])
	}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		what, args = args[0], args[1:]
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *runs < 1 || flags.NArg() > 0 {
		return errors.New("-runs must be 1 or more, and nothing may follow the flags")
	}
	if what == "quick" {
		*runs = 1
	}
	dir := *out
	if dir == "" {
		temp, err := os.MkdirTemp("", "gatewayqueue-bench-*")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp) //nolint:errcheck // only pictures that nobody wants
		dir = temp
	}
	if what == "proxy" {
		return proxies(suite.Bare(*runs, os.Stderr), *out)
	}
	redis.SetLogger(silent{}) // a pod that was killed cannot dial, which is expected
	s, err := suite.New(*runs, dir, os.Stderr)
	if err != nil {
		return err
	}
	s.Program = *sim
	switch what {
	case "core":
		return core(s)
	case "all":
		return everything(s, suite.Full(), *out, *micro)
	case "quick":
		return everything(s, suite.Quick(), *out, *micro)
	case "one":
		return one(s, spec, *only)
	case "simulation":
		return simulated(s)
	case "sizing":
		return sized(s, *out)
	default:
		return fmt.Errorf("no %q here: core, all, quick, one, proxy, simulation or sizing", what)
	}
}

func usage(flags *flag.FlagSet) {
	fmt.Fprint(os.Stderr, `bench [core | all | quick | one | proxy | simulation | sizing] [flags]

  core        the table of what the core promises, with pass or fail
  all         everything; writes docs/benchmarks.md and its pictures
  quick       a small run of everything, to see that it works
  one         one workload, given by flags
  proxy       the proxy beside a relay and a proxy that decodes; with -out its section of benchmarks.md
  simulation  large fleets in virtual time
  sizing      what fleets take of Redis; with -out its section of sizing.md

`)
	flags.PrintDefaults()
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func core(s *suite.Suite) error {
	c, err := s.Core(suite.Full())
	if err != nil {
		return err
	}
	fmt.Print(suite.Markdown(c.Tables(), 2))
	fmt.Printf("%s; %s; load average %s\n", report.Machine(), strings.Join(report.Versions(), ", "), report.Load())
	if !c.Passed() {
		return errors.New("not every goal was reached")
	}
	return nil
}

// everything prints the report, or writes it where out says.
func everything(s *suite.Suite, z suite.Size, out, micro string) error {
	before := report.Load()
	sections, err := s.Everything(z)
	if err != nil {
		return err
	}
	if micro != "" {
		printed, err := os.ReadFile(micro)
		if err != nil {
			return err
		}
		sections = append(sections, suite.Micro(string(printed)))
	}
	head := fmt.Sprintf(intro, s.Runs, report.Machine(), strings.Join(report.Versions(), ", "), before, report.Load())
	text := head + suite.Markdown(sections, 2)
	if out == "" {
		fmt.Print(text)
		return nil
	}
	return os.WriteFile(filepath.Join(out, "benchmarks.md"), []byte(strings.TrimSpace(text)+"\n"), 0o644)
}

const intro = `# Benchmarks

For contributors, and for readers who want proof: what the queue costs beside what people use instead. ([sizing.md](sizing.md) is for planning a fleet.)

Written by ` + "`scripts/bench`" + `; nothing here was written by hand. Every contestant did the same work in the same run,
before a judge that has no tolerance. The figures are the medians of %d runs, with the lowest and the highest in brackets;
violations, and units over the budget, are those of the best and of the worst run.

Times are good for comparisons within a table, and for nothing else: they depend on the machine and on what else
it was doing.

- Machine: %s
- Versions: %s
- Load average before and after: %s and %s
- Command: ` + "`scripts/bench`" + `

What the words mean:

- *bring-up / ideal*: time from the first arrival to the last identify; the ideal has no margin, no dial and no overhead.
- *handoff*: from the end of a bucket's window, margin included, to the next grant. Those that keep no margin can have a
  negative one.
- *violations*: identifies of one bucket that came less than a window after the one before; *worst*: how much less.
- *commands*: what clients sent, by INFO commandstats; *Redis CPU*: of the server's process, less what an idle one uses.

`

// proxies prints the section about the proxy, or puts it into the report.
func proxies(s *suite.Suite, out string) error {
	p, err := s.Proxy(suite.Full())
	if err != nil {
		return err
	}
	section := p.Section()
	if out == "" {
		fmt.Print(suite.Markdown([]suite.Section{section}, 2))
	} else {
		file := filepath.Join(out, "benchmarks.md")
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(suite.Replace(string(text), section)), 0o644); err != nil {
			return err
		}
	}
	if !p.Passed() {
		return errors.New("not every goal was reached")
	}
	return nil
}

func simulated(s *suite.Suite) error {
	sections, err := s.Simulation(suite.Full())
	if err != nil {
		return err
	}
	fmt.Print(suite.Markdown(sections, 2))
	fmt.Printf("%s; %s; load average %s\n", report.Machine(), strings.Join(report.Versions(), ", "), report.Load())
	return nil
}

// sized prints the section about what fleets take of Redis, or puts it into its page.
func sized(s *suite.Suite, out string) error {
	section, err := s.Sizing(sizing.Fleets)
	if err != nil {
		return err
	}
	if out == "" {
		fmt.Print(suite.Markdown([]suite.Section{section}, 2))
		return nil
	}
	file := filepath.Join(out, "sizing.md")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, []byte(suite.Replace(string(text), section)), 0o644)
}

func one(s *suite.Suite, spec workload.Spec, only string) error {
	contestants := contest.All()
	if only != "" {
		contestants = contest.Named(strings.Split(only, ",")...)
	}
	if len(contestants) == 0 || spec.Shards < 1 || spec.MaxConcurrency < 1 || spec.Pods < 1 {
		return errors.New("no contestants, shards, buckets or pods")
	}
	rows, err := s.InTurn("one", suite.Entries(spec, contestants...))
	if err != nil {
		return err
	}
	fmt.Println(report.Of(rows, suite.Ours, report.BringUp, report.HandoffP50, report.HandoffP99, report.HandoffMax,
		report.Violations, report.Worst, report.OverBudget, report.Displaced))
	fmt.Println(report.Of(rows, suite.Ours, report.Commands, report.RedisCPU, report.Bytes, report.ClientCPU,
		report.PerCall, report.Slowest, report.RedisLoad))
	return nil
}
