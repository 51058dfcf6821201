// The figures at the end.

package demo

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/timeline"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// report is all that is known after a run.
type report struct {
	config
	fleet   *fleet
	marks   []mark
	grants  []grant
	final   gatewaytest.Verdict
	status  gatewayqueue.Status
	calls   int64
	failed  map[int]event
	pods    []string // in the order of their start
	handoff []time.Duration
	cut     bool // it was ended before all shards had their turn
}

// mark is an identify as the judge has recorded it, with At since the start,
// and the pod that sent it.
type mark struct {
	gatewaytest.Identify
	Pod string
}

// newReport sums up a fleet that was stopped. offset is how long the judge's
// clock ran before the start.
func newReport(f *fleet, last gatewayqueue.Status, calls int64, offset time.Duration) *report {
	r := &report{
		config: f.config, fleet: f, final: f.judge.Verdict(), status: last, calls: calls,
		grants: f.ledger.grants, failed: f.ledger.failures,
	}
	for _, one := range f.judge.Record() {
		one.At -= offset
		r.marks = append(r.marks, mark{one, f.sender(one.Shard, one.At)})
	}
	for _, s := range f.specs {
		r.pods = append(r.pods, s.Pod)
	}
	r.handoff = r.handoffs()
	return r
}

// took is when the last shard identified.
func (r *report) took() time.Duration {
	var last time.Duration
	for _, m := range r.marks {
		last = max(last, m.At)
	}
	return last
}

// windows is how many windows lie between the first and the last identify of
// the deepest bucket, of those that were sent.
func (r *report) windows() int {
	depth := make([]int, r.MaxConcurrency)
	for _, m := range r.marks {
		depth[m.Bucket]++
	}
	return max(0, slices.Max(depth)-1)
}

// handoffs is, for each grant, how long its bucket had been open before it:
// since the window of the identify before it (with Wait: of the grant before
// it) and the margin had passed.
func (r *report) handoffs() []time.Duration {
	var all []time.Duration
	for _, g := range r.grants {
		before := time.Duration(-1)
		if r.Mode == modeAcquire {
			for _, m := range r.marks {
				if m.Bucket == g.Shard%r.MaxConcurrency && m.At < g.At {
					before = max(before, m.At)
				}
			}
		} else {
			for _, other := range r.grants {
				if other.Shard%r.MaxConcurrency == g.Shard%r.MaxConcurrency && other.At < g.At {
					before = max(before, other.At)
				}
			}
		}
		if before >= 0 {
			all = append(all, g.At-before-r.closes())
		}
	}
	slices.Sort(all)
	return all
}

// percentile of sorted times, by nearest rank.
func percentile(sorted []time.Duration, percent int) time.Duration {
	rank := (len(sorted)*percent + 99) / 100
	return sorted[max(0, rank-1)]
}

// nothing is the error of a run in which no shard came up.
func (r *report) nothing(explain func(error) error) error {
	if len(r.marks) > 0 {
		return nil
	}
	for _, e := range r.failed {
		if !e.Exhausted {
			return explain(errors.New(e.Error))
		}
	}
	return nil
}

// verdict is the error of a run that went wrong.
func (r *report) verdict() error {
	var wrong []string
	if n := r.final.Violations; n > 0 {
		wrong = append(wrong, fmt.Sprintf("%s of the window", picture.Count(n, "violation")))
	}
	if n := r.final.OverBudget; n > 0 {
		wrong = append(wrong, fmt.Sprintf("%d over budget", n))
	}
	if failed, why := r.broken(); failed > 0 {
		wrong = append(wrong, fmt.Sprintf("%s failed: %s", picture.Count(failed, "shard"), why))
	}
	if len(wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(wrong, "; "))
}

// broken counts shards that failed for another reason than the budget.
func (r *report) broken() (n int, why string) {
	for _, e := range r.failed {
		if !e.Exhausted {
			n, why = n+1, e.Error
		}
	}
	return n, why
}

// timeline is the picture of the run.
func (r *report) timeline() timeline.Timeline {
	t := timeline.Timeline{Window: r.Window, Buckets: r.MaxConcurrency, Pods: r.pods}
	t.Title = fmt.Sprintf("%d of %s up through %s in %s, %s", r.fleet.ledger.now().Up, picture.Count(r.Shards, "shard"),
		picture.Count(r.MaxConcurrency, "bucket"), picture.Seconds(r.took()), picture.Count(r.final.Violations, "violation"))
	for _, m := range r.marks {
		t.Marks = append(t.Marks, timeline.Mark{Shard: m.Shard, Bucket: m.Bucket, Pod: m.Pod, At: m.At, Violation: m.Early || m.Over})
	}
	for _, d := range r.fleet.deaths {
		t.Moments = append(t.Moments,
			timeline.Moment{At: d.At, Text: d.Pod + " killed"}, timeline.Moment{At: d.Back, Text: d.Heir + " takes over"})
	}
	return t
}
