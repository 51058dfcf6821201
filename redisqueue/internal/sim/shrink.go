package sim

import "slices"

// shrink leaves out what a run does not need to break the same rule, and returns what
// it then comes to, and how many runs that took.
func (p *plan) shrink(m *Mutant) (Verdict, int) {
	best, tries := *p, 1
	rule := p.run(m, false).Broken
	if rule == "" {
		return p.run(m, true), tries
	}
	try := func(change func(*plan)) bool {
		smaller := best
		smaller.callers, smaller.faults = slices.Clone(best.callers), slices.Clone(best.faults)
		change(&smaller)
		tries++
		if smaller.run(m, false).Broken != rule {
			return false
		}
		best = smaller
		return true
	}
	for again := true; again; {
		again = false
		for i := len(best.faults) - 1; i >= 0; i-- {
			again = try(func(p *plan) { p.faults = slices.Delete(p.faults, i, i+1) }) || again
		}
		for i := len(best.callers) - 1; i >= 0; i-- {
			again = try(func(p *plan) { p.callers = slices.Delete(p.callers, i, i+1) }) || again
		}
		for i := range best.callers {
			c := best.callers[i]
			if c.again > 0 {
				again = try(func(p *plan) { p.callers[i].again = 0 }) || again
			}
			if c.leave > 0 {
				again = try(func(p *plan) { p.callers[i].leave = 0 }) || again
			}
		}
		for _, change := range []struct {
			done bool
			do   func(*plan)
		}{
			{best.lose == 0, func(p *plan) { p.lose = 0 }},
			{best.twice == 0, func(p *plan) { p.twice = 0 }},
			{best.pods == 1, func(p *plan) { p.fewerPods() }},
			{best.resetAfter == 0, func(p *plan) { p.resetAfter, p.left = 0, p.total }},
			{!best.source, func(p *plan) { p.source = false }},
			{best.replicas == 0, func(p *plan) { p.replicas = 0 }},
			{!best.blind, func(p *plan) { p.blind = false }},
		} {
			if !change.done {
				again = try(change.do) || again
			}
		}
	}
	return best.run(m, true), tries
}

// fewerPods leaves the last pod out; its callers go to the others.
func (p *plan) fewerPods() {
	p.pods--
	for i := range p.callers {
		p.callers[i].pod %= p.pods
	}
	for i := range p.faults {
		p.faults[i].pod %= p.pods
	}
}
