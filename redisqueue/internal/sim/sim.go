// Package sim runs pods of a queue against their scripts in simulated time. One seed
// decides everything: who waits and leaves, how long each call takes, which are lost
// or come twice, which pods die, when a server fails over or forgets. So a run that
// breaks a rule is run again to the last call by its seed, and shrunk to what it takes.
//
// The pods are those of package pod, the scripts are the real ones, run by package
// redismodel, and the rules are those of package judge, as in the fault suite.
package sim

import (
	"fmt"
	"strings"
	"time"
)

// Verdict is what a run has come to.
type Verdict struct {
	Seed       uint64
	Identifies int
	Calls      int
	Simulated  time.Duration
	Broken     string // the rule that was broken, in a word; "" for none
	How        string // how, in a sentence
	Reached    map[Point]int
	Story      []string // what happened, line by line, if that was asked for
}

// Run runs one schedule.
func Run(seed uint64) Verdict { return newPlan(seed).run(nil, false) }

// Tell runs one schedule and tells its story.
func Tell(seed uint64) Verdict { return newPlan(seed).run(nil, true) }

// RunMutant runs one schedule with a broken script; m may be nil.
func RunMutant(seed uint64, m *Mutant) Verdict { return newPlan(seed).run(m, false) }

// Explain shrinks a run that breaks a rule, and tells what is left of it in a page.
func Explain(seed uint64, m *Mutant) string {
	v, tries := newPlan(seed).shrink(m)
	story := v.Story
	const most = 60
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d breaks the rule %q: %s (shrunk in %d runs)\n", seed, v.Broken, v.How, tries)
	if cut := len(story) - most; cut > 0 {
		plan := min(2, cut)
		story = append(story[:plan:plan], append([]string{fmt.Sprintf("    ... %d lines", cut)}, story[cut+plan:]...)...)
	}
	for _, line := range story {
		if len(line) > 180 {
			line = line[:180] + "..."
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}
