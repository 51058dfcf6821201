package workload

// What came of a run.

import (
	"cmp"
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue/bench/contest"
)

// Run is the figures of one run.
type Run struct {
	Grants int

	BringUp float64 // time to the last identify, as a ratio to the ideal
	Late    float64 // the same as a difference, in windows

	// Handoff is how long after the end of a bucket's window the next shard had
	// its grant, in ms. A bucket's first grant, and one that nobody waited for
	// when the window ended, counts from the shard's arrival.
	HandoffP50, HandoffP99, HandoffMax float64

	Violations, OverBudget float64
	Worst                  float64 // the worst violation, in ms short of the window
	Displaced              float64 // mean distance between place of arrival and of grant in a bucket

	// Per grant, with what its waiter's arrival and wait cost.
	Commands  float64 // that clients sent
	RedisCPU  float64 // us of the server's process, less what an idle one uses
	Bytes     float64 // both ways
	ClientCPU float64 // us

	// Of the commands that clients sent.
	PerCall, Slowest float64 // mean and longest run time in Redis, us
	RedisLoad        float64 // share of a core that the server used, all in all
}

func (f *field) result(c contest.Contestant, g *gauge, idle float64) Run {
	v := f.judge.Verdict()
	r := Run{
		Grants: len(f.turns), Violations: float64(v.Violations), OverBudget: float64(v.OverBudget), Worst: millis(v.WorstShortfall),
	}
	var last time.Duration
	late := 0 // grants after the waiters have settled
	for _, t := range f.turns {
		last = max(last, t.identified)
		if t.granted >= f.spec.settled() {
			late++
		}
	}
	if ideal := f.ideal(); ideal > 0 {
		r.BringUp = last.Seconds() / ideal.Seconds()
		r.Late = (last - ideal).Seconds() / f.spec.Window.Seconds()
	}
	handoffs := f.handoffs(c.Permits)
	r.HandoffP50, r.HandoffP99, r.HandoffMax = quantile(handoffs, 0.5), quantile(handoffs, 0.99), quantile(handoffs, 1)
	r.Displaced = f.displaced()

	each := g.perGrant(len(f.turns), late, f.spec.Shards, idle)
	r.ClientCPU = each.clientCPU
	if c.Local {
		return r
	}
	r.Commands, r.Bytes, r.RedisCPU = each.calls, each.bytes, each.redisCPU
	whole := g.whole()
	r.PerCall, r.Slowest = whole.PerCall, whole.Slowest
	if whole.Elapsed > 0 {
		r.RedisLoad = whole.CPU.Seconds() / whole.Elapsed.Seconds()
	}
	return r
}

// byBucket is each bucket's turns in the order that less gives.
func (f *field) byBucket(by func(turn) time.Duration) map[int][]turn {
	buckets := make(map[int][]turn)
	for _, t := range f.turns {
		buckets[t.bucket] = append(buckets[t.bucket], t)
	}
	for _, turns := range buckets {
		slices.SortStableFunc(turns, func(a, b turn) int { return cmp.Compare(by(a), by(b)) })
	}
	return buckets
}

// ideal is when the last of those who identified could have at the earliest,
// with dials and margins of no length.
func (f *field) ideal() time.Duration {
	var ideal time.Duration
	for _, turns := range f.byBucket(func(t turn) time.Duration { return t.entered }) {
		opens := time.Duration(0)
		for _, t := range turns {
			at := max(opens, t.entered)
			opens, ideal = at+f.spec.Window, max(ideal, at)
		}
	}
	return ideal
}

func (f *field) handoffs(permits bool) []float64 {
	var all []float64
	for _, turns := range f.byBucket(func(t turn) time.Duration { return t.granted }) {
		for i, t := range turns[1:] {
			opens := turns[i].granted + f.spec.Window + f.spec.Margin
			if permits {
				opens = turns[i].identified + f.spec.Window + f.spec.PermitMargin
			}
			all = append(all, millis(t.granted-max(opens, t.entered)))
		}
	}
	slices.Sort(all)
	return all
}

func (f *field) displaced() float64 {
	place := make(map[int]int, len(f.turns))
	for _, turns := range f.byBucket(func(t turn) time.Duration { return t.entered }) {
		for i, t := range turns {
			place[t.shard] = i
		}
	}
	sum, n := 0, 0
	for _, turns := range f.byBucket(func(t turn) time.Duration { return t.granted }) {
		for i, t := range turns {
			sum, n = sum+abs(place[t.shard]-i), n+1
		}
	}
	return float64(sum) / float64(max(n, 1))
}

func abs(n int) int { return max(n, -n) }

// quantile of a sorted list; 0 of an empty one.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func millis(d time.Duration) float64 { return d.Seconds() * 1000 }
