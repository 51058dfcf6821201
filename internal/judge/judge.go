// Package judge rules on what pods have done: it is the same for the fault suite, whose
// pods are processes, and for the simulator.
package judge

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Identify is an IDENTIFY that has left.
type Identify struct {
	At     time.Duration // since whatever the others count from
	Pod    string
	Shard  int
	Bucket int // in which it was granted
}

// Violation is two identifies of one bucket that are too near to each other.
type Violation struct{ First, Second Identify }

func (v Violation) String() string {
	return fmt.Sprintf("shard %d (bucket %d, %s) %v after shard %d (bucket %d, %s) at %d",
		v.Second.Shard, v.Second.Bucket, v.Second.Pod, (v.Second.At - v.First.At).Round(10*time.Microsecond),
		v.First.Shard, v.First.Bucket, v.First.Pod, v.Second.At)
}

// Violations finds each two identifies within a window that no mapping allows; all are
// in the order of time. Under one of the max_concurrency that were ever in force, both
// must be of the buckets for which they were granted, and these must differ: so also no
// bucket of a new mapping may open before every window of the old one is over.
func Violations(all []Identify, window time.Duration, maxConcurrency []int) []Violation {
	var found []Violation
	for i, second := range all {
		for j := i - 1; j >= 0 && second.At-all[j].At < window; j-- {
			first := all[j]
			if !slices.ContainsFunc(maxConcurrency, func(mc int) bool {
				return first.Bucket != second.Bucket && first.Shard%mc == first.Bucket && second.Shard%mc == second.Bucket
			}) {
				found = append(found, Violation{first, second})
			}
		}
	}
	return found
}

// Spend is units that are used at a moment, by a pod or by another program.
type Spend struct {
	At    time.Duration
	Units int
}

// Period is one of Discord's, with what was spent in it.
type Period struct {
	Begins, Ends time.Duration
	Spent        int
}

// Periods are those until a moment. Each begins with its first IDENTIFY. What was spent
// before the start is in the first, which ends as limit says then.
func Periods(limit gatewayqueue.SessionStartLimit, start, length time.Duration, spends []Spend, until time.Duration) []Period {
	spends = slices.Clone(spends)
	slices.SortStableFunc(spends, func(a, b Spend) int { return cmp.Compare(a.At, b.At) })
	var all []Period
	if used := limit.Total - limit.Remaining; used > 0 {
		all = append(all, Period{start, start + limit.ResetAfter, used})
	}
	for _, s := range spends {
		if s.At > until {
			break
		}
		if len(all) == 0 || s.At >= all[len(all)-1].Ends {
			all = append(all, Period{Begins: s.At, Ends: s.At + length})
		}
		all[len(all)-1].Spent += s.Units
	}
	return all
}
