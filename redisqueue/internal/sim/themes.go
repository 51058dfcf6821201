package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// themes are what half of the runs are about: things that come together too seldom by
// themselves.
var themes = []func(*plan, *rand.Rand){
	// A period begins while permits are out, and the next is used up.
	func(p *plan, r *rand.Rand) {
		p.shortOfUnits(r)
		p.left, p.resetAfter = r.IntN(p.total), 10*time.Second+some(r, 40*time.Second)
		p.dialFor(r, 20*time.Second)
		p.ignore("evict", "flush", "failover", "two masters")
	},
	// Discord is asked while permits are out, of a budget that ends.
	func(p *plan, r *rand.Rand) {
		p.shortOfUnits(r)
		p.source, p.counted = true, some(r, 900*time.Millisecond)
		p.dialFor(r, 20*time.Second)
		if r.IntN(2) == 0 {
			p.left, p.resetAfter = r.IntN(p.total), 10*time.Second+some(r, 40*time.Second)
		}
		p.ignore("evict", "source fails")
		p.add(r, 2, "update")
	},
	// State is lost while permits are out, of a budget that ends.
	func(p *plan, r *rand.Rand) {
		p.shortOfUnits(r)
		p.source, p.counted, p.left, p.resetAfter = true, some(r, 900*time.Millisecond), p.total, 0
		p.dialFor(r, 20*time.Second)
		p.ignore("evict", "source fails")
		p.add(r, 2, "flush", "failover")
	},
	// A part of the budget is lost.
	func(p *plan, r *rand.Rand) {
		p.shortOfUnits(r)
		p.source, p.left, p.resetAfter = false, p.total, 0
		p.ignore("evict", "flush", "failover", "two masters", "update")
		p.add(r, 2, "budget lost")
	},
	// Buckets change under permits that are held for long.
	func(p *plan, r *rand.Rand) {
		p.dialFor(r, 25*time.Second)
		p.add(r, 3, "update", "cut off")
	},
	// One pod is far from Redis, its calls come again soon, and others wait for its bucket.
	func(p *plan, r *rand.Rand) {
		p.buckets, p.pods = 1, max(p.pods, 2)
		p.slow, p.twice, p.late = 10*time.Millisecond, 0.3+r.Float64()/2, 2*time.Second+some(r, 8*time.Second)
		for i := range p.callers {
			p.callers[i].wakes, p.callers[i].permit, p.callers[i].pod = some(r, time.Second), r.IntN(4) == 0, r.IntN(2)
		}
		p.faults = append(p.faults, fault{kind: "slow", lasts: faultsUntil})
	},
	// Guests are paused with their permits.
	func(p *plan, r *rand.Rand) {
		p.buckets, p.pods = 1+r.IntN(2), max(p.pods, 2)
		for i := range p.callers {
			p.callers[i].permit, p.callers[i].announces, p.callers[i].dial = true, true, some(r, 4*time.Second)
		}
		p.add(r, 6, "guest")
	},
	// A pod that looks last has missed something: permits at their deadline, and links that break.
	func(p *plan, r *rand.Rand) {
		p.dialFor(r, 9*time.Second)
		for i := range p.callers {
			p.callers[i].announces = r.IntN(3) == 0
		}
		p.lose = 0.3 * r.Float64()
		p.add(r, 4, "cut off", "stall", "suspend", "slow")
	},
	// A report comes after the end of its permit, while others hold theirs until the end.
	func(p *plan, r *rand.Rand) {
		p.buckets, p.pods = 1, max(p.pods, 2)
		for i := range p.callers {
			c := &p.callers[i]
			c.at, c.permit, c.announces, c.abandons, c.dial = some(r, 30*time.Second), true, false, false, 4*time.Second+some(r, time.Second)
		}
		p.lose = 0.3 * r.Float64()
		p.add(r, 6, "cut off", "slow")
	},
	// A renewal takes longer than a window, and slots are lost meanwhile.
	func(p *plan, r *rand.Rand) {
		p.buckets, p.pods, p.permitLease = 1, max(p.pods, 2), 15*time.Second+some(r, 45*time.Second)
		p.far = p.permitLease
		for i := range p.callers {
			c := &p.callers[i]
			c.at, c.permit, c.announces, c.abandons, c.dial = some(r, 20*time.Second), true, false, false, some(r, 2*p.permitLease)
		}
		p.ignore("flush", "failover", "two masters", "update", "evict")
		p.add(r, 3, "slow")
		p.add(r, 8, "slot lost")
	},
	// Keys are evicted while buckets are busy.
	func(p *plan, r *rand.Rand) { p.add(r, 4, "evict") },
}

// shortOfUnits is a budget that ends, and many who want of it.
func (p *plan) shortOfUnits(r *rand.Rand) {
	p.total = 2*p.buckets + 2 + r.IntN(8)
	p.left, p.resetAfter = p.total, 0
	for i := range p.callers {
		p.callers[i].again = some(r, 10*time.Second)
	}
}

// dialFor makes most callers take permits, and some of them dial for long.
func (p *plan) dialFor(r *rand.Rand, longest time.Duration) {
	for i := range p.callers {
		p.callers[i].permit = r.IntN(8) > 0
		if r.IntN(2) == 0 {
			p.callers[i].dial = some(r, longest)
		}
	}
}

func (p *plan) ignore(kinds ...string) {
	p.faults = slices.DeleteFunc(p.faults, func(f fault) bool { return slices.Contains(kinds, f.kind) })
}

// add adds faults of some kinds, up to so many.
func (p *plan) add(r *rand.Rand, most int, kinds ...string) {
	for range 1 + r.IntN(most) {
		p.faults = append(p.faults, p.drawFault(r, kinds[r.IntN(len(kinds))]))
	}
}
