package simulation

// What came of it.

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Outcome is the result of all simulations, or why they were left out.
type Outcome struct {
	LeftOut string `json:",omitempty"`
	Results []Result
}

// Result is what became of one fleet.
type Result struct {
	Spec Spec
	Real time.Duration // how long it took in life

	Identifies, Violations, OverBudget int
	LeastGap                           time.Duration

	// By Redis's count: units spent in each period, and those of them that no
	// IDENTIFY was sent for.
	Spent, Unused []int
	OutOfOrder    float64 // mean distance between place of arrival and of grant in a bucket

	Rises      []Rise // the start, and the restart
	Rest       Load   // all of the time in which the fleet did not come up
	Recoveries []Recovery
}

// Rise is how the whole fleet came up.
type Rise struct {
	Took, Ideal time.Duration // from the first pod's start to the last identify; the ideal has no margin and no dial
	Closed      time.Duration // of both, at the start of an empty Redis
	Waited      bool          // for the next day, because the budget was spent
	Load        Load
}

// Recovery is how the shards of one pod came up on another one after a crash.
type Recovery struct {
	Shards      int
	Took, Ideal time.Duration // from the new pod's start; the ideal is that of the buckets as they were
	Rising      bool          // while the whole fleet came up
}

// Load is what Redis had to do in some time.
type Load struct {
	Time       time.Duration // virtual
	Identifies int
	Sent       map[string]int // by script
	Rate, Peak float64        // commands a second: the mean, and that of the worst minute
	CPU, Worst float64        // the same for the share of a core
	PerCall    float64        // CPU us a command
}

// Run has a fleet live in this world. It must be called in a bubble, in which
// nothing else runs.
func (w *World) Run(spec Spec) (Result, error) {
	f := &fleet{world: w, spec: spec, sent: make(map[string]int)}
	f.run()
	if errors.Is(f.err, ErrNoClock) {
		return Result{}, f.err
	}
	v := f.judge.Verdict()
	r := Result{
		Spec: spec, Identifies: v.Identifies, Violations: v.Violations, OverBudget: v.OverBudget, LeastGap: v.LeastGap,
		OutOfOrder: f.outOfOrder(),
	}
	f.spent(&r)
	ideal := f.ideal()
	for _, one := range f.rises {
		r.Rises = append(r.Rises, f.rise(one, ideal))
	}
	r.Rest = f.rest()
	for _, one := range f.recoveries {
		r.Recoveries = append(r.Recoveries, f.recovery(one, ideal))
	}
	return r, f.err
}

// spent compares the budget as Redis has it with what the judge has seen.
func (f *fleet) spent(r *Result) {
	from := time.Duration(0)
	for _, c := range f.counts {
		identifies := 0
		for _, t := range f.turns {
			if t.granted >= from && t.identified <= c.at {
				identifies++
			}
		}
		r.Spent, r.Unused = append(r.Spent, c.spent), append(r.Unused, c.spent-identifies)
		from = c.reset
	}
}

// opened is when the first of all was granted: an empty Redis keeps every bucket
// closed for a while.
func (f *fleet) opened() time.Duration {
	return slices.MinFunc(f.turns, func(a, b turn) int { return cmp.Compare(a.granted, b.granted) }).granted
}

// ideal is when each turn could have identified at the earliest, if those
// before it in its bucket had, too: with dials and margins of no length.
func (f *fleet) ideal() map[turn]time.Duration {
	ideal, opens := make(map[turn]time.Duration, len(f.turns)), make(map[int]time.Duration)
	turns, opened := slices.Clone(f.turns), f.opened()
	slices.SortStableFunc(turns, byArrival)
	for _, t := range turns {
		bucket := f.spec.limit().Bucket(t.shard)
		ideal[t] = max(opens[bucket], opened, t.entered)
		opens[bucket] = ideal[t] + gatewayqueue.IdentifyDelay
	}
	return ideal
}

// byArrival is the order of a line: by the millisecond, then by shard.
func byArrival(a, b turn) int {
	return cmp.Or(cmp.Compare(a.entered.Milliseconds(), b.entered.Milliseconds()), cmp.Compare(a.shard, b.shard))
}

func (f *fleet) outOfOrder() float64 {
	arrived, granted := make(map[int][]turn), make(map[int][]turn)
	for _, t := range f.turns {
		bucket := f.spec.limit().Bucket(t.shard)
		arrived[bucket] = append(arrived[bucket], t)
	}
	sum := 0
	for bucket, turns := range arrived {
		slices.SortFunc(turns, byArrival)
		granted[bucket] = slices.Clone(turns)
		slices.SortStableFunc(granted[bucket], func(a, b turn) int { return cmp.Compare(a.granted, b.granted) })
		place := make(map[turn]int, len(turns))
		for i, t := range turns {
			place[t] = i
		}
		for i, t := range granted[bucket] {
			sum += max(place[t]-i, i-place[t])
		}
	}
	return float64(sum) / float64(max(len(f.turns), 1))
}

func (f *fleet) rise(one rise, ideal map[turn]time.Duration) Rise {
	from := one.from.At.Sub(f.start)
	to := one.to.At.Sub(f.start)
	r := Rise{Took: to - from, Closed: max(0, f.opened()-from), Load: f.load(one.from, one.to)}
	for _, t := range f.turns {
		if t.first && t.entered >= from && t.identified <= to {
			r.Ideal = max(r.Ideal, ideal[t]-from)
		}
	}
	for _, c := range f.counts {
		r.Waited = r.Waited || from < c.reset && c.reset < to
	}
	return r
}

func (f *fleet) recovery(one recovery, ideal map[turn]time.Duration) Recovery {
	r := Recovery{Shards: one.end - one.first, Took: one.up - one.opened}
	for _, t := range f.turns {
		if t.shard >= one.first && t.shard < one.end && t.life == one.life && t.identified <= one.up {
			r.Ideal = max(r.Ideal, ideal[t]-one.opened)
		}
	}
	for _, all := range f.rises {
		r.Rising = r.Rising || one.up > all.from.At.Sub(f.start) && one.opened < all.to.At.Sub(f.start)
	}
	return r
}
