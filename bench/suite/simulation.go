package suite

// Fleets that no machine can hold, in virtual time. The simulation lives in a
// test's bubble, so it is a program of its own.

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue/bench/report"
	"github.com/gatewayqueue/gatewayqueue/bench/simulation"
	"github.com/gatewayqueue/gatewayqueue/internal/child"
)

// Simulation runs it and shows what came of it.
func (s *Suite) Simulation(z Size) ([]Section, error) {
	outcome, err := s.simulate(z.simulation)
	if err != nil {
		return nil, err
	}
	section := Section{Title: "Large fleets in virtual time"}
	if outcome.LeftOut != "" {
		section.Text = "Left out: " + outcome.LeftOut + "."
		return []Section{section}, nil
	}
	var cold, days []simulation.Result
	took := time.Duration(0)
	for _, r := range outcome.Results {
		took += r.Real
		if r.Spec.Life == 0 {
			cold = append(cold, r)
		} else {
			days = append(days, r)
		}
	}
	section.Text = fmt.Sprintf(simulated, simulation.DialMedian, simulation.DialSigma, simulation.PodsStart, seconds(took))
	return []Section{section, coldStarts(cold), lives(days)}, nil
}

const simulated = "The pods (`RedisQueue` with its default options, each with a client of its own), their scripts and the redis-server are real; time is not. " +
	"All pods live in one process, in a `testing/synctest` bubble: its clock stands still while anybody waits for Redis, and leaps once everybody sleeps. " +
	"The server's clock follows it: a library that is loaded into the server answers when it asks for the time. " +
	"So a call takes no time, no reply is lost and no process is late: these figures are about load, order and the budget, and say nothing about the network.\n\n" +
	"Simulated are Discord (a strict judge on the same clock), crashes, and dials of log-normal length (median %v, sigma %.1f): with `Acquire` under the permit, with `Wait` before " +
	"the shard takes its place, as after HELLO. The window is Discord's 5 s. Pods have blocks of neighbouring shards and start over %v; mc is max_concurrency. Redis CPU is that of the server's process by virtual time, " +
	"in which an idle server has no part; the worst minute is a virtual one. One run each; the fleets ran side by side, and their real times add up to %s."

func (s *Suite) simulate(flags []string) (simulation.Outcome, error) {
	if s.Program == "" {
		return simulation.Outcome{LeftOut: "scripts/bench runs it; here nobody gave its program"}, nil
	}
	dir, err := os.MkdirTemp("", "gatewayqueue-simulation-*")
	if err != nil {
		return simulation.Outcome{}, err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // temporary
	file := filepath.Join(dir, "outcome.json")
	var said bytes.Buffer
	cmd := exec.Command(s.Program, append(flags, "-test.timeout", "1h", "-out", file)...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := child.Start(cmd); err != nil {
		return simulation.Outcome{}, err
	}
	if err := cmd.Wait(); err != nil {
		return simulation.Outcome{}, fmt.Errorf("simulation: %w\n%s", err, said.String())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return simulation.Outcome{}, err
	}
	s.say("simulation")
	var outcome simulation.Outcome
	return outcome, json.Unmarshal(text, &outcome)
}

func coldStarts(results []simulation.Result) Section {
	outcome := report.Table{Head: []string{"fleet", "took", "closed at first", "bring-up / ideal", "violations", "over budget", "units spent", "least gap", "places out of order"}}
	load := report.Table{Head: []string{"fleet", "commands / grant", "commands / s", "worst minute", "Redis, % of a core", "worst minute", "us / command", "real time"}}
	sent := report.Table{Head: append([]string{"fleet, commands / grant"}, scripts...)}
	for _, r := range results {
		name, up := fleetName(r.Spec), r.Rises[0]
		outcome.Rows = append(outcome.Rows, []string{
			name, seconds(up.Took), seconds(up.Closed), ratio(up), strconv.Itoa(r.Violations), strconv.Itoa(r.OverBudget),
			fmt.Sprintf("%d of %d", r.Spent[0], r.Spec.Budget), r.LeastGap.Round(time.Millisecond).String(), report.Number(r.OutOfOrder),
		})
		load.Rows = append(load.Rows, append([]string{name, perGrant(up.Load, "")}, append(loadCells(up.Load), report.Number(up.Load.PerCall), seconds(r.Real))...))
		row := []string{name}
		for _, script := range scripts {
			row = append(row, perGrant(up.Load, script))
		}
		sent.Rows = append(sent.Rows, row)
	}
	return Section{
		Title: "In virtual time: cold starts",
		Text: "Every shard wants to identify at once. An empty Redis keeps every bucket closed at first, which is in the time but not in the ratio to the ideal (no margin, no dial). " +
			"In the fleet of 1,000 pods calls of several pods come together, for the sake of real time; one by one a command costs some more." + loadGoal(results),
		Tables: []report.Table{outcome, load, sent},
	}
}

// goalPods and goalLoad are what the load on Redis is held to.
const (
	goalPods = 128
	goalLoad = 0.02 // of a core
)

func loadGoal(results []simulation.Result) string {
	text := ""
	for _, r := range results {
		if r.Spec.Pods != goalPods {
			continue
		}
		for _, part := range []struct {
			what string
			load float64
		}{{"in the mean", r.Rises[0].Load.CPU}, {"in the worst minute", r.Rises[0].Load.Worst}} {
			mark := "pass"
			if part.load > goalLoad {
				mark = "**FAIL**"
			}
			text += fmt.Sprintf("\n- %s: %s %s %% of a core: %s", fleetName(r.Spec), part.what, report.Number(100*part.load), mark)
		}
	}
	if text == "" {
		return ""
	}
	return fmt.Sprintf("\n\nGoal: with %d pods the load on Redis stays under %s %% of a core.\n", goalPods, report.Number(100*goalLoad)) + text
}

// scripts are those that a bring-up needs.
var scripts = []string{"claim", "beat", "identified", "renew", "sync"}

func lives(results []simulation.Result) Section {
	phases := report.Table{Head: []string{"fleet", "", "identifies", "took", "bring-up / ideal", "commands / s", "worst minute", "Redis, % of a core", "worst minute"}}
	facts := report.Table{Head: []string{""}}
	for _, r := range results {
		name := fleetName(r.Spec)
		for i, up := range r.Rises {
			what := "start"
			if i > 0 {
				what = "restart of all pods at " + clock(r.Spec.Restart)
			}
			phases.Rows = append(phases.Rows, append([]string{name, what, strconv.Itoa(up.Load.Identifies), seconds(up.Took), ratio(up)}, loadCells(up.Load)...))
		}
		phases.Rows = append(phases.Rows, append([]string{name, "the rest", strconv.Itoa(r.Rest.Identifies), clock(r.Rest.Time), ""}, loadCells(r.Rest)...))
		facts.Head = append(facts.Head, fmt.Sprintf("%s, budget %d", name, r.Spec.Budget))
		for i, f := range factsOf(r) {
			if i == len(facts.Rows) {
				facts.Rows = append(facts.Rows, []string{f.what})
			}
			facts.Rows[i] = append(facts.Rows[i], f.value)
		}
	}
	return Section{
		Title: "In virtual time: a day, and an hour of the next",
		Text: fmt.Sprintf("Once up, each shard reconnects with a fresh IDENTIFY once a day in the mean, at random; pods crash at random (a fifth of them while the fleet comes up), without a goodbye, and a new one takes each one's shards %v later; "+
			"once all crash together. The second fleet's budget is too small for that: who comes too late waits for the next day.", simulation.Replacement),
		Tables: []report.Table{phases, facts},
	}
}

type fact struct{ what, value string }

func factsOf(r simulation.Result) []fact {
	var calm, busy []time.Duration
	ideal := time.Duration(0)
	for _, one := range r.Recoveries {
		if one.Rising {
			busy = append(busy, one.Took)
			continue
		}
		calm, ideal = append(calm, one.Took), max(ideal, one.Ideal)
	}
	list := []fact{
		{"identifies", strconv.Itoa(r.Identifies)},
		{"violations", strconv.Itoa(r.Violations)},
		{"over budget", strconv.Itoa(r.OverBudget)},
		{"least gap", r.LeastGap.Round(time.Millisecond).String()},
	}
	for i, day := range []string{"first", "second"} {
		list = append(list, fact{
			"units spent in the " + day + " day; of them for no IDENTIFY (a crash under a permit)",
			fmt.Sprintf("%d; %d", r.Spent[i], r.Unused[i]),
		})
	}
	return append(list,
		fact{"units left at the end of the first day", strconv.Itoa(r.Spec.Budget - r.Spent[0])},
		fact{"pods that crashed alone, with the fleet up; and while it came up", fmt.Sprintf("%d; %d", len(calm), len(busy))},
		fact{"shards of such a pod", strconv.Itoa(r.Spec.Shards / r.Spec.Pods)},
		fact{"from a new pod's start until all its shards were up, with the fleet up: median, longest, ideal (no margin, no dial)", fmt.Sprintf("%s, %s, %s", middle(calm), longest(calm), short(ideal))},
	)
}

func fleetName(s simulation.Spec) string {
	call := "Acquire"
	if s.Wait {
		call = "Wait"
	}
	return fmt.Sprintf("%d shards, %d pods, mc %d, %s", s.Shards, s.Pods, s.MaxConcurrency, call)
}

func loadCells(l simulation.Load) []string {
	return []string{report.Number(l.Rate), report.Number(l.Peak), report.Number(100 * l.CPU), report.Number(100 * l.Worst)}
}

// perGrant is how often a script was sent for each grant; "" is all of them.
func perGrant(l simulation.Load, script string) string {
	n := 0
	for name, sent := range l.Sent {
		if script == "" || name == script {
			n += sent
		}
	}
	return report.Number(float64(n) / float64(max(l.Identifies, 1)))
}

func ratio(up simulation.Rise) string {
	if up.Waited {
		return "waits for the next day"
	}
	return report.Number((up.Took - up.Closed).Seconds() / max((up.Ideal-up.Closed).Seconds(), 1e-9))
}

func seconds(d time.Duration) string { return d.Round(time.Second).String() }

func short(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }

// clock is a long time without its seconds.
func clock(d time.Duration) string { return strings.TrimSuffix(d.Round(time.Minute).String(), "0s") }

func middle(all []time.Duration) string {
	if len(all) == 0 {
		return "-"
	}
	slices.Sort(all)
	return short(all[len(all)/2])
}

func longest(all []time.Duration) string {
	if len(all) == 0 {
		return "-"
	}
	return short(slices.Max(all))
}
