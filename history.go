// The history of a queue: what it granted, minute by minute, for a day.

package gatewayqueue

import (
	"math"
	"slices"
	"time"
)

// HistoryMinutes is how far back a history goes: a day.
const HistoryMinutes = 24 * 60

// Minute is what a queue granted in one minute, all its pods together. A minute in
// which nothing was granted, and nothing given back, is in no history.
type Minute struct {
	Start time.Time `json:"start"` // on the queue's clock

	// Granted is how many shards got their turn. Returned is how many permits were
	// given back in it, of which no IDENTIFY was sent.
	Granted  int `json:"granted"`
	Returned int `json:"returned,omitempty"`

	// Remaining and Total are the budget some seconds after the minute's end; both
	// are 0 where Unknown says that it was not known.
	Remaining int  `json:"remaining"`
	Total     int  `json:"total"`
	Unknown   bool `json:"unknown,omitempty"`

	// P50 and P99 are how long half, and 99 of 100, of the shards that were granted
	// had waited at most. They are of Waits, and as exact.
	P50 time.Duration `json:"wait_p50_ns"`
	P99 time.Duration `json:"wait_p99_ns"`
	// Waits is how long those that were granted had waited.
	Waits Waits `json:"waits,omitempty"`
}

// Waits counts waits by their length, in classes that can be added up over pods and
// minutes: class 0 is of waits up to 1 ms, class n of those longer than 2^((n-1)/3) ms
// and up to 2^(n/3) ms, class 80, the last, of all that are longer than class 79.
// That is 29 hours: nobody waits longer than for the next budget.
type Waits map[int]int

// The classes of [Waits]: three of them double a wait.
const (
	waitClasses    = 81
	classesADouble = 3
)

// classOf is the class of a wait.
func classOf(wait time.Duration) int {
	ms := float64(wait) / float64(time.Millisecond)
	if ms <= 1 {
		return 0
	}
	return min(int(math.Ceil(classesADouble*math.Log2(ms))), waitClasses-1)
}

// Add counts one more wait.
func (w Waits) Add(wait time.Duration) { w[classOf(wait)]++ }

// Merge adds other waits.
func (w Waits) Merge(others Waits) {
	for class, n := range others {
		w[class] += n
	}
}

// Count is how many waits there are.
func (w Waits) Count() int {
	all := 0
	for _, n := range w {
		all += n
	}
	return all
}

// Quantile is how long a part of the waits, from 0 to 1, were at most: 0.99 for all but
// the longest of a hundred. It is off by 12.3 % at most, either way, or by a
// millisecond; of waits longer than a day it is 26 hours. Without waits it is 0.
func (w Waits) Quantile(part float64) time.Duration {
	classes := make([]int, 0, len(w))
	for class := range w {
		classes = append(classes, class)
	}
	slices.Sort(classes)
	rank := max(1, int(math.Ceil(part*float64(w.Count()))))
	for _, class := range classes {
		if rank -= w[class]; rank <= 0 {
			return lengthOf(class)
		}
	}
	return 0
}

// lengthOf is the geometric middle of a class: no wait of it is off by more than
// 2^(1/6).
func lengthOf(class int) time.Duration {
	if class <= 0 {
		return time.Millisecond
	}
	ms := math.Exp2((float64(class) - 0.5) / classesADouble)
	return time.Duration(ms * float64(time.Millisecond)).Round(100 * time.Microsecond)
}
