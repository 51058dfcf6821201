// Package report turns runs into tables and pictures.
package report

// The figures of a table, and how several runs become one entry.

import (
	"fmt"
	"math"
	"slices"

	"github.com/gatewayqueue/gatewayqueue/bench/workload"
)

// Row is what one line of a table is made of: all runs of one contestant.
type Row struct {
	Name string
	Runs []workload.Run
}

// Figure is a column.
type Figure struct {
	Title string
	Of    func(workload.Run) float64
	Worst bool // of several runs the worst counts, not the median
}

// The figures that tables are made of.
var (
	BringUp    = Figure{Title: "bring-up / ideal", Of: func(r workload.Run) float64 { return r.BringUp }}
	HandoffP50 = Figure{Title: "handoff p50 ms", Of: func(r workload.Run) float64 { return r.HandoffP50 }}
	HandoffP99 = Figure{Title: "p99 ms", Of: func(r workload.Run) float64 { return r.HandoffP99 }}
	HandoffMax = Figure{Title: "max ms", Of: func(r workload.Run) float64 { return r.HandoffMax }}
	Violations = Figure{Title: "violations", Worst: true, Of: func(r workload.Run) float64 { return r.Violations }}
	Worst      = Figure{Title: "worst, ms short", Worst: true, Of: func(r workload.Run) float64 { return r.Worst }}
	OverBudget = Figure{Title: "over budget", Worst: true, Of: func(r workload.Run) float64 { return r.OverBudget }}
	Commands   = Figure{Title: "commands / grant", Of: func(r workload.Run) float64 { return r.Commands }}
	RedisCPU   = Figure{Title: "Redis CPU us / grant", Of: func(r workload.Run) float64 { return r.RedisCPU }}
	Bytes      = Figure{Title: "bytes / grant", Of: func(r workload.Run) float64 { return r.Bytes }}
	ClientCPU  = Figure{Title: "client CPU us / grant", Of: func(r workload.Run) float64 { return r.ClientCPU }}
	PerCall    = Figure{Title: "us / call", Of: func(r workload.Run) float64 { return r.PerCall }}
	Slowest    = Figure{Title: "longest call us", Of: func(r workload.Run) float64 { return r.Slowest }}
	Displaced  = Figure{Title: "places out of order", Of: func(r workload.Run) float64 { return r.Displaced }}
	RedisLoad  = Figure{Title: "Redis, % of a core", Of: func(r workload.Run) float64 { return 100 * r.RedisLoad }}
)

// Spread is a figure over several runs.
type Spread struct{ Median, Min, Max float64 }

// Over is the figure over the runs.
func (f Figure) Over(runs []workload.Run) Spread {
	values := make([]float64, len(runs))
	for i, r := range runs {
		values[i] = f.Of(r)
	}
	return SpreadOf(values)
}

// SpreadOf is that of a figure's values.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{math.NaN(), math.NaN(), math.NaN()}
	}
	slices.Sort(values)
	n := len(values)
	return Spread{(values[(n-1)/2] + values[n/2]) / 2, values[0], values[n-1]}
}

// Value is what a figure comes to: the median, or the worst.
func (f Figure) Value(runs []workload.Run) float64 {
	s := f.Over(runs)
	if f.Worst {
		return s.Max
	}
	return s.Median
}

// Cell is the figure for people: the median and in brackets the spread.
func (f Figure) Cell(runs []workload.Run) string {
	s := f.Over(runs)
	if math.IsNaN(s.Median) {
		return "-"
	}
	if f.Worst {
		if s.Min == s.Max {
			return Number(s.Max)
		}
		return Number(s.Min) + "-" + Number(s.Max)
	}
	return s.Cell()
}

// Cell is the spread for people.
func (s Spread) Cell() string {
	low, mid, high := Number(s.Min), Number(s.Median), Number(s.Max)
	if low == high {
		return mid
	}
	return fmt.Sprintf("%s (%s-%s)", mid, low, high)
}

// Number has about three digits, and four where it is a ratio near 1.
func Number(v float64) string {
	switch size := math.Abs(v); {
	case v == math.Trunc(v) && size < 1e6:
		return fmt.Sprintf("%.0f", v)
	case size >= 100:
		return fmt.Sprintf("%.0f", v)
	case size >= 10:
		return fmt.Sprintf("%.1f", v)
	case size >= 2:
		return fmt.Sprintf("%.2f", v)
	case size >= 0.9:
		return fmt.Sprintf("%.3f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
