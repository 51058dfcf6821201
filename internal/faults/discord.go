package faults

// Discord's side: it counts identifies as they are reported, says what is left of
// the budget when it is asked, and is the judge of its own periods.

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/judge"
)

// discord is the limit source of one bot, and what its pods are configured with.
// A period begins with its first IDENTIFY, lasts as long as the plan says, and has
// at most total of them.
type discord struct {
	mu     sync.Mutex
	limit  gatewayqueue.SessionStartLimit // at the start
	start  time.Duration
	length time.Duration // of a period
	now    int           // max_concurrency
	ever   []int         // all values of max_concurrency so far
	raised int           // units by which total has grown
	spends []judge.Spend // in the order of reports
	moods  []*mood       // in force; the last one is how the limit source answers
	asked  int
}

// mood is how the limit source answers for now.
type mood struct {
	answer func(http.ResponseWriter) bool // false: as usual
	late   time.Duration                  // how long after the figure was read
}

// readTime is how long a report may be on its way to us. A figure is answered that
// much later than it is of, so that every IDENTIFY before it is in it.
const readTime = 30 * time.Millisecond

func newDiscord(limit gatewayqueue.SessionStartLimit, length time.Duration) *discord {
	if length == 0 {
		length = gatewayqueue.LimitPeriod
	}
	return &discord{limit: limit, start: clock(), length: length, now: limit.MaxConcurrency, ever: []int{limit.MaxConcurrency}}
}

func (d *discord) spent(at time.Duration, units int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.spends = append(d.spends, judge.Spend{At: at, Units: units})
}

// periods are those until a moment. What was spent before the run is in the first.
func (d *discord) periods(until time.Duration) []judge.Period {
	return judge.Periods(d.limit, d.start, d.length, d.spends, until)
}

// over says by how many identifies the budget was overspent, in all periods.
func (d *discord) over() (over int, all []judge.Period) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all = d.periods(clock())
	for _, p := range all {
		over += max(0, p.Spent-d.limit.Total-d.raised)
	}
	return over, all
}

// report is session_start_limit as of now.
func (d *discord) report() gatewayqueue.SessionStartLimit {
	time.Sleep(readTime)
	return d.reportAt(clock() - readTime)
}

func (d *discord) reportAt(at time.Duration) gatewayqueue.SessionStartLimit {
	d.mu.Lock()
	defer d.mu.Unlock()
	l := gatewayqueue.SessionStartLimit{Total: d.limit.Total + d.raised, MaxConcurrency: d.now}
	l.Remaining = l.Total
	if all := d.periods(at); len(all) > 0 && at < all[len(all)-1].Ends {
		last := all[len(all)-1]
		l.Remaining, l.ResetAfter = max(0, l.Total-last.Spent), last.Ends-at
	}
	return l
}

// change sets max_concurrency.
func (d *discord) change(maxConcurrency int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = maxConcurrency
	d.ever = append(d.ever, maxConcurrency)
}

// raise adds to the total, as Discord does for a bot that has grown.
func (d *discord) raise(units int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.raised += units
}

// used says which values of max_concurrency there were.
func (d *discord) used() []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]int(nil), d.ever...)
}

// turn changes how the limit source answers, and returns how to turn it back.
func (d *discord) turn(m mood) func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	mine := &m
	d.moods = append(d.moods, mine)
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.moods = slices.DeleteFunc(d.moods, func(one *mood) bool { return one == mine })
	}
}

func (d *discord) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	var m mood
	if n := len(d.moods); n > 0 {
		m = *d.moods[n-1]
	}
	d.asked++
	d.mu.Unlock()
	if m.answer != nil && m.answer(w) {
		return
	}
	limit := d.report()
	time.Sleep(m.late)
	_ = json.NewEncoder(w).Encode(map[string]any{"session_start_limit": limit}) // a pod that was killed reads nothing
}

// partial answers without some of the fields.
func (d *discord) partial(random *rand.Rand) func(http.ResponseWriter) bool {
	var mu sync.Mutex
	return func(w http.ResponseWriter) bool {
		mu.Lock()
		kind := random.IntN(6)
		mu.Unlock()
		l := d.report()
		fields := map[string]any{
			"total": l.Total, "remaining": l.Remaining, "reset_after": l.ResetAfter.Milliseconds(), "max_concurrency": l.MaxConcurrency,
		}
		switch kind {
		case 0:
			return false
		case 1:
			fields = map[string]any{}
		default:
			delete(fields, []string{"total", "remaining", "reset_after", "max_concurrency"}[kind-2])
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"session_start_limit": fields})
		return true
	}
}

// refusing answers with errors: a status with its header, or a page instead of JSON.
func refusing(random *rand.Rand) func(http.ResponseWriter) bool {
	kind := random.IntN(4)
	return func(w http.ResponseWriter) bool {
		switch kind {
		case 0:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = fmt.Fprint(w, `{"message":"You are being rate limited.","retry_after":1.0,"global":false}`)
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
		case 3:
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprint(w, "<html>Just a moment...</html>")
		}
		return true
	}
}
