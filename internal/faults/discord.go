package faults

// Discord's side: it counts identifies as they are reported, and says what is
// left of the budget when it is asked.

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// discord is the limit source of a run, and what its pods are configured with.
type discord struct {
	mu     sync.Mutex
	limit  gatewayqueue.SessionStartLimit // at the start
	start  time.Duration
	now    int   // max_concurrency
	ever   []int // all values of max_concurrency so far
	counts [2]int
}

func newDiscord(limit gatewayqueue.SessionStartLimit) *discord {
	return &discord{limit: limit, start: clock(), now: limit.MaxConcurrency, ever: []int{limit.MaxConcurrency}}
}

// period is the period of a moment: 0 until the reset, and then 1.
func (d *discord) period(at time.Duration) int {
	if at < d.start+d.limit.ResetAfter {
		return 0
	}
	return 1
}

func (d *discord) identified(at time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counts[d.period(at)]++
}

// report is session_start_limit as it is now.
func (d *discord) report() gatewayqueue.SessionStartLimit {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := clock()
	l := gatewayqueue.SessionStartLimit{Total: d.limit.Total, MaxConcurrency: d.now}
	if d.period(now) == 0 {
		l.Remaining, l.ResetAfter = d.limit.Remaining-d.counts[0], d.start+d.limit.ResetAfter-now
	} else {
		l.Remaining = d.limit.Total - d.counts[1]
		if d.counts[1] > 0 {
			l.ResetAfter = gatewayqueue.LimitPeriod
		}
	}
	l.Remaining = max(l.Remaining, 0)
	return l
}

// change sets max_concurrency.
func (d *discord) change(maxConcurrency int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = maxConcurrency
	d.ever = append(d.ever, maxConcurrency)
}

// used says which values of max_concurrency there were.
func (d *discord) used() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]int(nil), d.ever...)
}

func (d *discord) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	_ = json.NewEncoder(w).Encode(map[string]any{"session_start_limit": d.report()}) // a pod that was killed reads nothing
}
