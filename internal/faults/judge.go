package faults

// The judge: what the pods have done, and what of it they may not.

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/judge"
)

// event is one line that a pod wrote.
type event struct {
	at            time.Duration // CLOCK_MONOTONIC
	kind          string
	pod           string
	bot           int
	shard, bucket int
	text          string
}

func (e event) String() string {
	return fmt.Sprintf("%12d %-10s %-8s shard %d bucket %d %s", e.at, e.pod, e.kind, e.shard, e.bucket, e.text)
}

func parseEvent(pod, line string) (event, error) {
	e := event{pod: pod}
	var at int64
	fields := strings.SplitN(line, " ", 5)
	if len(fields) < 5 {
		return e, fmt.Errorf("pod %s said %q", pod, line)
	}
	_, err := fmt.Sscan(strings.Join(fields[1:4], " "), &e.shard, &e.bucket, &at)
	e.kind, e.at, e.text = fields[0], time.Duration(at), fields[4]
	return e, err
}

// of is what pods of one bot said.
func of(bot int, events []event) []event {
	return slices.DeleteFunc(slices.Clone(events), func(e event) bool { return e.bot != bot })
}

// stalled is the longest time after the faults in which somebody waited in a bucket
// and nobody there was granted anything. What a pod that was killed waited for ends
// with it.
func stalled(events []event, from time.Duration, maxConcurrency int) time.Duration {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	type waiter struct {
		pod   string
		shard int
	}
	waiting := make(map[int]map[waiter]bool)
	since := make(map[int]time.Duration) // of each bucket in which somebody waits
	longest := time.Duration(0)
	for _, e := range events {
		bucket := e.shard % maxConcurrency
		if waiting[bucket] == nil {
			waiting[bucket] = make(map[waiter]bool)
		}
		w := waiter{e.pod, e.shard}
		switch e.kind {
		case "waits":
			if len(waiting[bucket]) == 0 {
				since[bucket] = e.at
			}
			waiting[bucket][w] = true
		case "identify", "abandoned", "expired":
			if len(waiting[bucket]) > 0 {
				longest = max(longest, e.at-max(since[bucket], from))
			}
			since[bucket] = e.at
		case "over":
			delete(waiting[bucket], w)
		case "ended":
			for _, line := range waiting {
				maps.DeleteFunc(line, func(w waiter, _ bool) bool { return w.pod == e.pod })
			}
		}
	}
	return longest
}

// identifies are those among the events, in the order of time.
func identifies(events []event) []event {
	all := slices.DeleteFunc(slices.Clone(events), func(e event) bool { return e.kind != "identify" })
	slices.SortFunc(all, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return all
}

// violations are those of package judge among the identifies, in the order of time.
func violations(all []event, window time.Duration, maxConcurrency []int) []judge.Violation {
	told := make([]judge.Identify, len(all))
	for i, e := range all {
		told[i] = judge.Identify{At: e.at, Pod: e.pod, Shard: e.shard, Bucket: e.bucket}
	}
	return judge.Violations(told, window, maxConcurrency)
}

// leastGap is the least time between two identifies of one bucket.
func leastGap(all []event) time.Duration {
	least := time.Hour
	last := make(map[int]time.Duration)
	for _, e := range all {
		if at, ok := last[e.bucket]; ok {
			least = min(least, e.at-at)
		}
		last[e.bucket] = e.at
	}
	return least
}

// stallLimit is what a busy machine may need, and more than any hold or lease of a run.
const stallLimit = 15 * time.Second

// verdict is what the judge says of a run.
type verdict struct {
	Identifies int
	Violations []judge.Violation
	Over       int           // identifies beyond the budget
	Units      int           // that are gone, by Redis's own count; -1 if state was lost and they are not known
	Unused     int           // units gone that nobody used
	Explained  int           // how many of these the faults can explain
	Uncounted  int           // identifies that no unit was spent for
	Unserved   []seat        // shards that never came up
	Expired    int           // permits that ended before their holder could use them
	Stalled    time.Duration // the longest time in which a bucket with waiters had no grant, after the faults
	Errors     []string      // what no fault may cause
	Resumed    time.Duration // from the end of the last fault to the next grant; -1 for never
	LeastGap   time.Duration
}

// bad says what may not be, nil for nothing.
func (v verdict) bad() []string {
	var bad []string
	for _, one := range v.Violations {
		bad = append(bad, "violation: "+one.String())
	}
	if v.Over > 0 {
		bad = append(bad, fmt.Sprintf("overspent by %d", v.Over))
	}
	if v.Unused > v.Explained {
		bad = append(bad, fmt.Sprintf("%d units gone that nobody used; the faults explain %d", v.Unused, v.Explained))
	}
	if v.Uncounted > 0 {
		bad = append(bad, fmt.Sprintf("%d identifies that no unit was spent for", v.Uncounted))
	}
	if len(v.Unserved) > 0 {
		bad = append(bad, fmt.Sprintf("shards never served: %v", v.Unserved))
	}
	if v.Stalled > stallLimit {
		bad = append(bad, fmt.Sprintf("a bucket with waiters had no grant for %v after the faults", v.Stalled.Round(time.Millisecond)))
	}
	for _, err := range v.Errors {
		bad = append(bad, "error: "+err)
	}
	return bad
}

func (v verdict) String() string {
	units := "?"
	if v.Units >= 0 {
		units = fmt.Sprint(v.Units)
	}
	return fmt.Sprintf("identifies %3d  units %3s  violations %d  over %d  unused %d (explained %d)  unserved %d  resumed %4d ms  stalled %d ms  least gap %d ms",
		v.Identifies, units, len(v.Violations), v.Over, v.Unused, v.Explained, len(v.Unserved), v.Resumed.Milliseconds(), v.Stalled.Milliseconds(), v.LeastGap.Milliseconds())
}
