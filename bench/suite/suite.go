// Package suite says what is run: the core table, everything, or a look at
// whether it all still works.
package suite

// Running several contestants fairly.

import (
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/bench/contest"
	"github.com/gatewayqueue/gatewayqueue/bench/report"
	"github.com/gatewayqueue/gatewayqueue/bench/server"
	"github.com/gatewayqueue/gatewayqueue/bench/workload"
)

// Suite runs workloads and says on Log how far it is.
type Suite struct {
	Runs int // of each contestant in each workload
	Log  io.Writer
	Dir  string // where pictures go

	// Program is that of the simulation: the test binary of package simulation.
	Program string

	idle  float64
	start time.Time
}

// New measures what an idle server costs, and is ready.
func New(runs int, dir string, log io.Writer) (*Suite, error) {
	idle, err := server.IdleCPU(2 * time.Second)
	s := &Suite{Runs: runs, Log: log, Dir: dir, idle: idle, start: time.Now()}
	s.say("an idle server uses %.2f %% of a core; load average %s", 100*idle, report.Load())
	return s, err
}

func (s *Suite) say(format string, args ...any) {
	fmt.Fprintf(s.Log, "%6.1fs  %s\n", time.Since(s.start).Seconds(), fmt.Sprintf(format, args...))
}

// path is where a picture goes.
func (s *Suite) path(file string) string { return filepath.Join(s.Dir, file) }

// Entry is a contestant in a workload.
type Entry struct {
	Name string // in the table
	contest.Contestant
	workload.Spec
}

// Entries puts contestants into the same workload.
func Entries(spec workload.Spec, contestants ...contest.Contestant) []Entry {
	var all []Entry
	for _, c := range contestants {
		all = append(all, Entry{c.Name, c, spec})
	}
	return all
}

// InTurn runs the entries one after the other, and again for every run, so that
// whatever else the machine does hits them alike.
func (s *Suite) InTurn(title string, entries []Entry) ([]report.Row, error) {
	rows := make([]report.Row, len(entries))
	for run := range s.Runs {
		for i, e := range entries {
			runtime.GC() // none of the one before
			r, err := workload.Do(e.Contestant, e.Spec, run, s.idle)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", title, err)
			}
			rows[i].Name = e.Name
			rows[i].Runs = append(rows[i].Runs, r)
		}
		s.say("%s: %d of %d", title, run+1, s.Runs)
	}
	return rows, nil
}

// Together runs the entries at the same time, each on a server of its own. It
// is for workloads that mostly wait.
func (s *Suite) Together(title string, entries []Entry) ([]report.Row, error) {
	rows := make([]report.Row, len(entries))
	for run := range s.Runs {
		var all sync.WaitGroup
		errs := make([]error, len(entries))
		for i, e := range entries {
			rows[i].Name = e.Name
			all.Go(func() {
				r, err := workload.Do(e.Contestant, e.Spec, run, s.idle)
				rows[i].Runs = append(rows[i].Runs, r)
				errs[i] = err
			})
		}
		all.Wait()
		if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
			return nil, fmt.Errorf("%s: %w", title, errs[i])
		}
		s.say("%s: %d of %d", title, run+1, s.Runs)
	}
	return rows, nil
}

// Ours says whether a row is one of our own queues.
func Ours(name string) bool {
	for _, c := range contest.All() {
		if c.Ours && c.Name == name {
			return true
		}
	}
	return false
}
