// The verdict: what the judge's record comes to, in figures and in one line.

package gatewaytest

import (
	"fmt"
	"time"
)

// Verdict sums up what a [Judge] has recorded.
type Verdict struct {
	Identifies int `json:"identifies"`
	Violations int `json:"violations"`  // identifies that came Early
	OverBudget int `json:"over_budget"` // identifies that came Over: one is enough to lose the token

	Window         time.Duration `json:"window_ns"`          // what a gap should be at least
	LeastGap       time.Duration `json:"least_gap_ns"`       // of all buckets; 0 where none had two identifies
	WorstShortfall time.Duration `json:"worst_shortfall_ns"` // how far below the window the worst violation was

	Shards    map[int]int `json:"shards"`    // identifies per shard
	Remaining int         `json:"remaining"` // units of the budget left now
}

// Verdict sums up all that was recorded so far.
func (j *Judge) Verdict() Verdict {
	now := time.Since(j.start)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refill(now)
	v := Verdict{
		Identifies: len(j.record),
		Window:     j.window,
		Shards:     make(map[int]int),
		Remaining:  j.limit.Remaining,
	}
	seen := false
	for _, one := range j.record {
		v.Shards[one.Shard]++
		if one.Over {
			v.OverBudget++
		}
		if one.Early {
			v.Violations++
			v.WorstShortfall = max(v.WorstShortfall, j.window-one.Gap)
		}
		if !one.First() && (!seen || one.Gap < v.LeastGap) {
			v.LeastGap, seen = one.Gap, true
		}
	}
	return v
}

// OK reports whether Discord had nothing to punish.
func (v Verdict) OK() bool { return v.Violations == 0 && v.OverBudget == 0 }

// String is one line such as
//
//	48 identifies of 48 shards: 0 violations, 0 over budget, least gap 5.051s (window 5s), 952 remaining
func (v Verdict) String() string {
	s := fmt.Sprintf("%s of %s: %s", count(v.Identifies, "identify", "identifies"),
		count(len(v.Shards), "shard", "shards"), count(v.Violations, "violation", "violations"))
	if v.Violations > 0 {
		s += fmt.Sprintf(" (worst %v short)", v.WorstShortfall.Round(time.Microsecond))
	}
	s += fmt.Sprintf(", %d over budget", v.OverBudget)
	if v.Identifies > len(v.Shards) || v.LeastGap > 0 {
		s += fmt.Sprintf(", least gap %v (window %v)", v.LeastGap.Round(time.Microsecond), v.Window)
	}
	return s + fmt.Sprintf(", %d remaining", v.Remaining)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
