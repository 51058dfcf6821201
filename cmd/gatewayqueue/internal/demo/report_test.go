package demo

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// sampleReport is of five shards in two buckets, one of which was refused.
func sampleReport() *report {
	c := defaultConfig()
	c.Shards, c.MaxConcurrency, c.Pods, c.Remaining = 6, 2, 2, 100
	l := newLedger(6, 2, func(event, progress) {})
	r := &report{
		config: c,
		fleet:  &fleet{config: c, ledger: l, deaths: []death{{Pod: "pod-2", Heir: "pod-2b", At: 6 * time.Second, Back: 7 * time.Second}}},
		pods:   []string{"pod-1", "pod-2", "pod-2b"}, calls: 12,
		final:  gatewaytest.Verdict{Identifies: 5, Violations: 1, WorstShortfall: 40 * time.Millisecond, LeastGap: 4960 * time.Millisecond},
		status: gatewayqueue.Status{Budget: gatewayqueue.BudgetStatus{Remaining: 95}},
		failed: map[int]event{},
	}
	for shard, ms := range []int{0, 0, 5253, 5260, 10213} {
		at := time.Duration(ms) * time.Millisecond
		refused := shard == 4
		pod := r.pods[shard%2]
		r.grants = append(r.grants, grant{Shard: shard, Pod: pod, At: at})
		r.marks = append(r.marks, mark{gatewaytest.Identify{Shard: shard, Bucket: shard % 2, At: at, Early: refused}, pod})
		l.hear(event{Kind: identified, Shard: shard, Ruling: &gatewaytest.Ruling{Accepted: !refused}})
	}
	l.hear(event{Kind: failed, Shard: 5, Exhausted: true})
	r.failed[5] = event{Exhausted: true}
	r.handoff = r.handoffs()
	return r
}

func TestTableHasEveryFigure(t *testing.T) {
	assert.Equal(t, [][]string{
		{"shards up", "4 of 6, 1 refused, 1 must wait for the budget's reset"},
		{"bring-up time", "10.21 s"},
		{"least possible", "10.00 s by Discord's rule (ratio 1.021), 10.50 s with margin (ratio 0.973)"},
		{"violations", "1, the worst 40ms too early"},
		{"least gap", "4.96 s (window 5.00 s)"},
		{"over budget", "0"},
		{"budget", "100 before, 95 after, reserve 0"},
		{"Redis calls per grant", "2.4 (12 scripts, 5 grants)"},
		{"handoff p50 / p99", "3.0 ms / 10.0 ms after the bucket had opened"},
		{"grants per pod", "pod-1 3, pod-2 2, pod-2b 0"},
		{"killed", "pod-2 at 6.00 s, pod-2b took over at 7.00 s"},
	}, plainRows(sampleReport()))
}

func TestBudgetThatWasSpentForNothingIsNamed(t *testing.T) {
	r := sampleReport()
	r.status.Budget.Remaining = 93
	assert.Equal(t, "100 before, 93 after: 7 spent for 5 identifies", r.budgetText())
}

func TestViolationsAndFailuresAreErrors(t *testing.T) {
	r := sampleReport()
	assert.EqualError(t, r.verdict(), "1 violation of the window")
	r.final.OverBudget = 2
	r.failed[0] = event{Error: "Redis is on fire"}
	assert.EqualError(t, r.verdict(), "1 violation of the window; 2 over budget; 1 shard failed: Redis is on fire")
	r.final = gatewaytest.Verdict{}
	r.failed = map[int]event{5: {Exhausted: true}}
	assert.NoError(t, r.verdict(), "a budget that was kept is what the queue is for")
}

func TestRunInWhichNothingCameUpIsOneError(t *testing.T) {
	r := sampleReport()
	same := func(err error) error { return err }
	assert.NoError(t, r.nothing(same))
	r.marks = nil
	assert.NoError(t, r.nothing(same), "the budget was 0")
	r.failed[1] = event{Error: "no"}
	assert.Equal(t, errors.New("no"), r.nothing(same))
}

func TestHandoffOfAPermitCountsFromTheIdentifyBefore(t *testing.T) {
	r := sampleReport()
	r.Mode, r.Margin = modeAcquire, 50*time.Millisecond
	r.grants = []grant{{Shard: 0, At: 0}, {Shard: 2, At: 5200 * time.Millisecond}}
	r.marks = []mark{{Identify: gatewaytest.Identify{Shard: 0, At: 140 * time.Millisecond}}}
	assert.Equal(t, []time.Duration{10 * time.Millisecond}, r.handoffs())
}

func TestPercentileIsTheNearestRank(t *testing.T) {
	sorted := []time.Duration{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	assert.EqualValues(t, 5, percentile(sorted, 50))
	assert.EqualValues(t, 10, percentile(sorted, 99))
	assert.EqualValues(t, 1, percentile(sorted[:1], 50))
}
