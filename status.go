package gatewayqueue

import (
	"context"
	"time"
)

// StatusReader is a queue that can be looked at.
type StatusReader interface {
	Status(ctx context.Context) (Status, error)
}

// Status is one consistent snapshot of a queue.
type Status struct {
	App     string         `json:"app,omitempty"`
	Time    time.Time      `json:"time"` // of the snapshot, on the queue's clock
	Budget  BudgetStatus   `json:"budget"`
	Buckets []BucketStatus `json:"buckets"` // one per bucket, in order
	Pods    []PodStatus    `json:"pods,omitempty"`
	// Spent is how many identifies each shard has spent in this period. A queue
	// of thousands of shards may list only those that back off: SpentBy then exceeds
	// its length.
	Spent map[int]int `json:"spent,omitempty"`
	// SpentBy is how many shards have spent any, SpentAll what they have spent
	// together; where Spent does not list them all, it is what is gone from the
	// budget.
	SpentBy  int `json:"spent_by,omitempty"`
	SpentAll int `json:"spent_all,omitempty"`
	// Backoffs says until when shards that identify too often are not granted.
	Backoffs map[int]time.Time `json:"backoffs,omitempty"`
	// Hold is how long every bucket stays closed after a change of limits or
	// a loss of state; 0 where none is in force.
	Hold time.Duration `json:"hold_ns,omitempty"`
	// Pause is what an operator has ordered ([Pauser]); nil while grants are not paused.
	Pause *PauseStatus `json:"pause,omitempty"`
	// Step is the time between two grants of a bucket that are used at once: the
	// window that is in force, and the margin of the queue that was asked. Older servers
	// leave it out.
	Step time.Duration `json:"step_ns,omitempty"`
	// Source is what is wrong with the source of the limits, such as Discord; its
	// zero value where nothing is.
	Source SourceStatus `json:"source,omitzero"`
	// Store is what is wrong with Redis, as far as it answers; its zero value where
	// nothing is, and of a queue in memory.
	Store StoreStatus `json:"store,omitzero"`
	// Storm is whether Discord refuses sessions in numbers, as far as proxies have told;
	// nil where they have told nothing. A queue's own Status leaves it out: servers and
	// the program ask for it (Sights of package redisqueue) and add it.
	Storm *Storm `json:"storm,omitempty"`
	// Epoch changes when state was lost; Seq counts what closed a bucket.
	Epoch string `json:"epoch,omitempty"`
	Seq   int64  `json:"seq,omitempty"`
}

// BudgetStatus is the daily budget.
type BudgetStatus struct {
	Total          int       `json:"total"`
	Remaining      int       `json:"remaining"`
	MaxConcurrency int       `json:"max_concurrency"`
	Reset          time.Time `json:"reset,omitzero"` // zero while no period has begun
	Unknown        bool      `json:"unknown,omitempty"`
	// Reserve is how many units are never granted.
	Reserve int `json:"reserve,omitempty"`
	// Never says why no unit can ever be granted under these limits, such as a
	// total of 0; empty where one can.
	Never string `json:"never,omitempty"`
}

// Grantable is how many of the units that are left can be granted: those beyond the
// reserve.
func (b BudgetStatus) Grantable() int { return max(0, b.Remaining-b.Reserve) }

// SourceStatus is how the source of the limits has failed, when it was last
// asked by any pod.
type SourceStatus struct {
	Error string    `json:"error,omitempty"`
	After time.Time `json:"ask_after,omitzero"` // nobody asks it before; zero where it has not said so
}

// StoreStatus is why grants are refused by what Redis holds, by its values, or since it
// takes no writes: of all shards, or of those of a bucket. Budget.Unknown is set too
// where the limits cannot be used.
type StoreStatus struct {
	Error string `json:"error,omitempty"` // names the key, its value and what that may be
	Cure  string `json:"cure,omitempty"`  // what to do about it, such as a command of redis-cli
}

// BucketStatus is one bucket: its slot, and the line in front of it.
type BucketStatus struct {
	Bucket  int           `json:"bucket"`
	Closed  time.Duration `json:"closed_ns"`        // for how long at most; 0 is open
	Holder  string        `json:"holder,omitempty"` // the ticket that closed it
	Permit  bool          `json:"permit,omitempty"` // its holder has not identified yet
	Waiting int           `json:"waiting"`          // how many stand in line; nobody does in the place of a dead pod
	// Shards are the different shards that stand in line, in order: one whose pod has
	// just died stands twice, if its successor waits already, until the lease ends.
	// nil where more stand in line than one look takes in.
	Shards []int   `json:"shards,omitempty"`
	Line   []Place `json:"line,omitempty"` // the first places of the line
}

// Place is one ticket in a line.
type Place struct {
	Ticket  string    `json:"ticket"`
	Arrival time.Time `json:"arrival"`
}

// PodStatus is one pod that takes part, or did until a minute ago.
type PodStatus struct {
	Pod     string    `json:"pod"`
	Lease   time.Time `json:"lease"`             // its end; one that has passed is of a dead pod
	Waiting int       `json:"waiting,omitempty"` // how many of its tickets stand in line
	Since   time.Time `json:"since,omitzero"`    // the arrival of the first of them; zero if none waits
}

// Waiting is how many stand in all lines.
func (s Status) Waiting() int {
	n := 0
	for _, b := range s.Buckets {
		n += b.Waiting
	}
	return n
}

// Drained estimates how long the lines last, if step passes between two grants
// of a bucket and nobody comes or goes. waiting says how many still wait for a
// bucket; nil is as many as the line has.
func (s Status) Drained(step time.Duration, waiting func(BucketStatus) int) time.Duration {
	var longest time.Duration
	for _, b := range s.Buckets {
		n := b.Waiting
		if waiting != nil {
			n = waiting(b)
		}
		if n > 0 {
			first := max(b.Closed, s.Hold)
			if b.Permit { // for as long as its lease at most, but its holder will identify soon
				first = step
			}
			longest = max(longest, first+time.Duration(n-1)*step)
		}
	}
	return longest
}
