package suite

// How the figures grow with the line, the fleet and the number of buckets.

import (
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/bench/contest"
	"github.com/gatewayqueue/gatewayqueue/bench/report"
	"github.com/gatewayqueue/gatewayqueue/bench/workload"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// dimension is one thing that grows while the others stay.
type dimension struct {
	name, file string
	sizes      []int
	most       int // for peers that would need more than the machine has
	spec       func(size int) workload.Spec
}

// growthWindow is short, so that there is time for several runs of each size.
// The pods' lease is scaled with it, so that heartbeats weigh what they do in
// life.
const growthWindow = scaled / 2

// longGrowth is after how many windows the longest lines are left, which take ten
// of them to arrive.
const longGrowth = 16

func dimensions() []dimension {
	base := workload.Spec{Shards: 256, MaxConcurrency: 16, Pods: 8, Window: growthWindow, Windows: 4, PodLease: leaseOf(growthWindow)}
	return []dimension{
		{"waiters a bucket", "waiters", []int{4, 16, 256, 4096}, 256, func(n int) workload.Spec {
			s := base
			s.Shards = n * s.MaxConcurrency
			if n > 1000 {
				s.Settle, s.Windows = 10, longGrowth
			}
			return s
		}},
		{"pods", "pods", []int{1, 8, 32, 128}, 128, func(n int) workload.Spec {
			s := base
			s.Pods = n
			return s
		}},
		{"max_concurrency", "buckets", []int{1, 16, 256}, 256, func(n int) workload.Spec {
			s := base
			s.Shards, s.MaxConcurrency = 16*n, n
			return s
		}},
	}
}

// leaseOf is the default lease of a pod, 3 s for 5 s, scaled with the window.
func leaseOf(window time.Duration) time.Duration {
	return window * redisqueue.DefaultPodLease / gatewayqueue.IdentifyDelay
}

var growing = []struct {
	report.Figure
	file  string
	floor float64 // the least that is drawn, on a logarithmic axis
}{
	{report.Commands, "commands", 0.1},
	{report.RedisCPU, "cpu", 1},
	{report.HandoffP99, "handoff", 0.1},
}

// lines are a plot's, one for each contestant.
type lines []*report.Line

// of returns the line of that name, and adds it if it is missing.
func (l *lines) of(name string) *report.Line {
	for _, line := range *l {
		if line.Name == name {
			return line
		}
	}
	line := &report.Line{Name: name}
	*l = append(*l, line)
	return line
}

func (s *Suite) growth(z Size) ([]Section, error) {
	var sections []Section
	done := make(map[workload.Spec][]report.Row) // all dimensions have one workload in common
	for _, d := range z.growth {
		plots := make([]lines, len(growing))
		t := report.Table{Head: []string{d.name, "contestant", "commands / grant", "Redis CPU us / grant", "bytes / grant", "handoff p99 ms", "Redis, % of a core"}}
		for _, size := range d.sizes {
			spec := d.spec(size)
			if done[spec] == nil {
				entries := Entries(spec, contest.Named(contest.Wait, contest.Acquire)...)
				if size <= d.most {
					entries = append(entries, Entries(spec, contest.Named(contest.Poller)...)...)
				}
				rows, err := s.InTurn(fmt.Sprintf("%d %s", size, d.name), entries)
				if err != nil {
					return nil, err
				}
				done[spec] = rows
			}
			for _, r := range done[spec] {
				t.Rows = append(t.Rows, []string{
					fmt.Sprint(size), r.Name, report.Commands.Cell(r.Runs), report.RedisCPU.Cell(r.Runs),
					report.Bytes.Cell(r.Runs), report.HandoffP99.Cell(r.Runs), report.RedisLoad.Cell(r.Runs),
				})
				for i, g := range growing {
					plots[i].of(r.Name).Add(float64(size), g.Over(r.Runs), g.floor)
				}
			}
		}
		section := Section{Title: "Growth: " + d.name, Tables: []report.Table{t}, Text: fmt.Sprintf(
			"Window %v, 16 buckets, 8 pods, 16 waiters a bucket, but for what grows; the pods' lease is scaled with the window (%v). "+
				"Lines are left after %d windows, those of 4,096 after %d: a grant's cost is that of one in the line's middle and of one arrival. "+
				"Each pod with waiters beats twice in a lease, whatever is granted: with P pods and B buckets that is 3.3 P/B commands a grant, most of them where pods are many or buckets few. "+
				"The poller is left out with 4,096 waiters a bucket: it measures the machine.", growthWindow, leaseOf(growthWindow), d.spec(d.sizes[0]).Windows, longGrowth)}
		for i, g := range growing {
			file := "benchmarks-" + d.file + "-" + g.file + ".svg"
			if err := report.Plot(s.path(file), g.Title+" by "+d.name, d.name, g.Title, plots[i]); err != nil {
				return nil, err
			}
			section.Images = append(section.Images, Image{File: file, Text: g.Title + " by " + d.name})
		}
		sections = append(sections, section)
	}
	return sections, nil
}
