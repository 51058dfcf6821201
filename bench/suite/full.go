package suite

// Everything: the core with all peers, the real window with dials and a dead
// pod, waiters that come and go, the budget, growth, and the footprint.

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue/bench/contest"
	"github.com/gatewayqueue/gatewayqueue/bench/report"
	"github.com/gatewayqueue/gatewayqueue/bench/workload"
)

// Size scales everything down, so that a look whether it works takes no time.
type Size struct {
	core, real, order, budget workload.Spec
	deepWindows, crowd        int
	look                      time.Duration // at the crowd
	growth                    []dimension
	simulation                []string // flags of its program
	proxy                     proxySize
}

// Full is the size of the published figures.
func Full() Size {
	return Size{
		core: coreSpec(),
		real: withMargins(workload.Spec{
			Shards: 64, MaxConcurrency: 16, Pods: 8, Window: 5 * time.Second,
			Dial: 150 * time.Millisecond, DialSigma: 0.5,
		}),
		order: workload.Spec{
			Shards: 48, MaxConcurrency: 4, Pods: 8, Window: scaled / 5, PodLease: leaseOf(scaled / 5),
			Stagger: time.Second, Cancelled: 0.2,
		},
		budget:      workload.Spec{Shards: 64, MaxConcurrency: 16, Pods: 8, Window: scaled / 5, Budget: 48, Windows: 6},
		deepWindows: 8,
		crowd:       10_000,
		look:        time.Second,
		growth:      dimensions(),
		simulation:  []string{"-full"},
		proxy:       fullProxy(),
	}
}

// Quick is a size that shows in a minute whether everything works. Its figures
// mean nothing.
func Quick() Size {
	z := Full()
	z.core.Shards, z.core.Window = 48, scaled/5
	z.real.Shards, z.real.Window, z.real.Dial = 32, time.Second, 30*time.Millisecond
	z.order.Shards, z.order.Stagger = 32, 200*time.Millisecond
	z.deepWindows, z.crowd, z.look = 5, 1000, 300*time.Millisecond
	z.simulation = nil
	z.proxy = quickProxy()
	for i := range z.growth {
		d := &z.growth[i]
		d.sizes = d.sizes[:2]
		full := d.spec
		d.spec = func(n int) workload.Spec {
			s := full(n)
			s.Windows = 3
			return s
		}
	}
	return z
}

// Everything is the whole report.
func (s *Suite) Everything(z Size) ([]Section, error) {
	var sections []Section
	for _, part := range []func(Size) ([]Section, error){s.coreAndPeers, s.realWindow, s.comeAndGo, s.overBudget, s.growth, s.footprint, s.Simulation, s.proxies} {
		more, err := part(z)
		if err != nil {
			return nil, err
		}
		sections = append(sections, more...)
	}
	return append(sections, contestants()), nil
}

func (s *Suite) coreAndPeers(z Size) ([]Section, error) {
	var others []contest.Contestant
	for _, c := range contest.All() {
		if c.Name != contest.Wait && c.Name != contest.Acquire && c.Name != contest.Poller {
			others = append(others, c)
		}
	}
	c, err := s.Core(z, others...)
	if err != nil {
		return nil, err
	}
	return c.Tables(), nil
}

func peers() []contest.Contestant {
	var all []contest.Contestant
	for _, c := range contest.All() {
		if !c.Ours && !c.Local {
			all = append(all, c)
		}
	}
	return all
}

// realWindow is what a window of 5 s and dials after the grant come to, and
// what a pod that dies on the way costs.
func (s *Suite) realWindow(z Size) ([]Section, error) {
	bare := z.real
	bare.Margin, bare.PermitMargin = 0, 0
	killed, killedBare := z.real, bare
	killed.Killed, killedBare.Killed = 1, 1
	ours := contest.Named(contest.Wait, contest.Acquire)
	local := contest.Named(contest.InMemory, "disgo's limiter")

	alive := append(Entries(z.real, append(ours, local...)...), Entries(bare, peers()...)...)
	for _, e := range Entries(z.real, contest.Named("redis_rate", "SET NX, sleep PTTL")...) {
		e.Name += ", our margin"
		alive = append(alive, e)
	}
	dead := append(Entries(killed, ours...), Entries(killedBare, peers()...)...)
	rows, err := s.Together("real window, dials, a killed pod", append(alive, dead...))
	if err != nil {
		return nil, err
	}
	n := len(alive)
	late := report.Figure{Title: "windows lost", Of: func(r workload.Run) float64 { return r.Late }}
	table := report.Of(rows[n:], Ours, late, report.HandoffMax, report.Violations)
	t := report.Table{Head: append(table.Head, "more than with all pods alive")}
	for i, row := range table.Rows {
		t.Rows = append(t.Rows, append(row, report.Number(late.Value(rows[n+i].Runs)-late.Value(find(rows[:n], rows[n+i].Name)))))
	}
	return []Section{
		{
			Title: fmt.Sprintf("Discord's own window, and a dial between grant and IDENTIFY: %d shards, max_concurrency %d, %d pods", z.real.Shards, z.real.MaxConcurrency, z.real.Pods),
			Text: fmt.Sprintf("After each grant a dial of log-normal length (median %v, sigma %.1f), the same for all. Ours, and the limiters of one process, have our default margins; peers have none but "+
				"the poller's sixth second, as people run them, and two of them once more with our margin. They ran at the same time, each with a server of its own.", z.real.Dial, z.real.DialSigma),
			Tables: []report.Table{report.Of(rows[:n], Ours, report.BringUp, report.Violations, report.Worst, report.HandoffP50, report.HandoffMax, report.Commands, report.RedisCPU)},
		},
		{
			Title:  "One of the pods dies a third into the bring-up",
			Text:   "The same, but one pod loses its connections and its waiters at once. Windows lost counts from the ideal of the shards that came up, dials included.",
			Tables: []report.Table{t},
		},
	}, nil
}

func find(rows []report.Row, name string) []workload.Run {
	for _, r := range rows {
		if r.Name == name {
			return r.Runs
		}
	}
	return nil
}

// comeAndGo is about order, and waiters that give up.
func (s *Suite) comeAndGo(z Size) ([]Section, error) {
	rows, err := s.InTurn("come and go", Entries(z.order, contest.All()...))
	if err != nil {
		return nil, err
	}
	return []Section{{
		Title: "Waiters that come and go",
		Text: fmt.Sprintf("%d shards in %d buckets arrive over %v in random order, from %d pods; one in five gives up while it waits. Window %v. "+
			"A place out of order is the mean distance between a shard's place by arrival and by grant.", z.order.Shards, z.order.MaxConcurrency, z.order.Stagger, z.order.Pods, z.order.Window),
		Tables: []report.Table{report.Of(rows, Ours, report.BringUp, report.Displaced, report.HandoffP99, report.Violations, report.Commands)},
	}}, nil
}

// overBudget is what happens when the day's identifies are used up.
func (s *Suite) overBudget(z Size) ([]Section, error) {
	rows, err := s.InTurn("budget", Entries(z.budget, contest.All()...))
	if err != nil {
		return nil, err
	}
	granted := report.Figure{Title: "identifies sent", Of: func(r workload.Run) float64 { return float64(r.Grants) }}
	return []Section{{
		Title:  "The daily budget",
		Text:   fmt.Sprintf("%d shards and a budget of %d. One identify over it resets the bot's token.", z.budget.Shards, z.budget.Budget),
		Tables: []report.Table{report.Of(rows, Ours, granted, report.OverBudget)},
	}}, nil
}

// footprint is what waiting takes in a process.
func (s *Suite) footprint(z Size) ([]Section, error) {
	t := report.Table{Head: []string{"contestant", "heap bytes / waiter", "stack bytes / waiter", "goroutines beyond the callers'", "process, % of a core", "commands / s"}}
	for _, c := range contest.All() {
		if c.Name == "redislock" || c.Name == "redsync" || c.Serve != nil {
			continue // at this size they measure the machine
		}
		w, err := workload.Waiting(c, z.crowd, z.look)
		if err != nil {
			return nil, err
		}
		commands := report.Number(w.Commands)
		if c.Local {
			commands = "-"
		}
		t.Rows = append(t.Rows, []string{c.Name, report.Number(w.Heap), report.Number(w.Stack), fmt.Sprint(w.Goroutines), report.Number(100 * w.Client), commands})
		s.say("%d waiters: %s", z.crowd, c.Name)
	}
	return []Section{{
		Title: fmt.Sprintf("%d waiters in one process", z.crowd),
		Text: "Beyond what as many goroutines take that only wait for a channel. 16 buckets, Discord's window; one second, long after all have arrived. " +
			"redislock and redsync are left out, because at this size they measure the machine, and the HTTP service, which holds a connection for each waiter, both ends of it here.",
		Tables: []report.Table{t},
	}}, nil
}

func contestants() Section {
	t := report.Table{Head: []string{"contestant", "how it is set up"}}
	for _, c := range contest.All() {
		t.Rows = append(t.Rows, []string{c.Name, c.How})
	}
	return Section{
		Title: "The contestants", Tables: []report.Table{t},
		Notes: "rueidis's limiter and lock are modules of their own that the Go module proxy did not have, so they are missing. " +
			"All clients are go-redis with its default options, one for each pod.",
	}
}

// Micro shows what go test -bench has printed.
func Micro(printed string) Section {
	return Section{
		Title: "Hot paths: Go's own benchmarks",
		Text: "`memqueue` (of a line's waiters one is granted and one arrives, for `Turn`; a million callers arrive and are granted, for `Million`), " +
			"then one turn of each contestant where nobody else waits. A waiter and its channel, or permit, are the allocations; a grant has none of its own.\n\n```\n" +
			strings.TrimSpace(printed) + "\n```",
	}
}
