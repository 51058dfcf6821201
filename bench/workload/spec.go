// Package workload brings up shards through a contestant, before a strict
// judge, and measures what it takes.
package workload

// What a run is to do.

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/bench/contest"
)

// Spec describes a run. All that is random in it follows from the number of
// the run, so that every contestant gets the same.
type Spec struct {
	Shards, MaxConcurrency, Pods int // each pod has a block of neighbouring shards

	Window       time.Duration
	Margin       time.Duration // added to a window that starts at a grant
	PermitMargin time.Duration // added to one that starts at an identify
	PodLease     time.Duration // of our own; 0 for its default

	Stagger   time.Duration // waiters come over this time, in random order; 0 is all at once
	Dial      time.Duration // median time between grant and IDENTIFY; 0 for none
	DialSigma float64       // of its logarithm
	Cancelled float64       // share of the waiters that give up, within the first half of the bring-up
	Killed    int           // pods that lose their connection, and their waiters, a third into the bring-up
	Budget    int           // identifies a day; 0 for more than enough

	// A line that is too long to drain is left after Windows of them; 0 is to
	// the end.
	Windows int
	Settle  int // windows until all have arrived, where it is left; 0 is one and a half
}

func (s Spec) limit() gatewayqueue.SessionStartLimit {
	budget := s.Budget
	if budget == 0 {
		budget = 2*s.Shards + 1000
	}
	return gatewayqueue.SessionStartLimit{
		Total: budget, Remaining: budget, ResetAfter: gatewayqueue.LimitPeriod, MaxConcurrency: s.MaxConcurrency,
	}
}

func (s Spec) setup(pod string) contest.Setup {
	return contest.Setup{
		App: "bench", Pod: pod, Limit: s.limit(), Window: s.Window, Margin: s.Margin, PermitMargin: s.PermitMargin, PodLease: s.PodLease,
	}
}

// Depth is how many shards share a bucket.
func (s Spec) Depth() int { return (s.Shards + s.MaxConcurrency - 1) / s.MaxConcurrency }

// drains says whether a run goes to the end.
func (s Spec) drains() bool {
	return s.Windows == 0 || s.Windows >= s.Depth() && (s.Budget == 0 || s.Budget >= s.Shards)
}

// settled is when, in a run that does not drain, every waiter has arrived and
// what a grant costs can be told from what an arrival costs.
func (s Spec) settled() time.Duration {
	if s.Settle > 0 {
		return time.Duration(s.Settle) * s.Window
	}
	return s.Window + s.Window/2
}

// length is about how long a bring-up takes.
func (s Spec) length() time.Duration { return time.Duration(s.Depth()) * s.Window }

// bound is when a run that does not end is given up.
func (s Spec) bound() time.Duration {
	if !s.drains() {
		return time.Duration(s.Windows) * s.Window
	}
	return s.Stagger + 3*time.Duration(s.Depth())*(s.Window+s.Margin+s.PermitMargin+5*s.Dial) + 20*time.Second
}

// part is what one shard does in a run.
type part struct {
	shard, pod int
	arrives    time.Duration
	leaves     time.Duration // 0 for never
	dial       time.Duration
}

func (s Spec) parts(run int) []part {
	rng := rand.New(rand.NewPCG(uint64(run), 4711))
	parts := make([]part, s.Shards)
	block := (s.Shards + s.Pods - 1) / s.Pods
	for i := range parts {
		p := part{shard: i, pod: i / block}
		if s.Stagger > 0 {
			p.arrives = rand64(rng, s.Stagger)
		}
		if rng.Float64() < s.Cancelled {
			p.leaves = p.arrives + time.Millisecond + rand64(rng, s.length()/2)
		}
		if s.Dial > 0 {
			p.dial = time.Duration(float64(s.Dial) * math.Exp(s.DialSigma*rng.NormFloat64()))
		}
		parts[i] = p
	}
	return parts
}

func rand64(rng *rand.Rand, below time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(below)))
}
