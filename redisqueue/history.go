// The history: what this pod grants, told to Redis once a minute, and what all pods
// granted in the last day. It is kept for people: nothing is decided by it.

package redisqueue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

const (
	// historyKept is for how long Redis keeps the history after the last grant: the
	// day, and an hour for those who look a little later.
	historyKept = (gatewayqueue.HistoryMinutes + 60) * time.Minute

	// historySpread is over how long the pods of a fleet spread their calls at the end
	// of a minute.
	historySpread = 5 * time.Second

	// historyPending is how many minutes a pod keeps that it could not tell. Redis
	// knows for longer what it has told, so that none of them counts twice.
	historyPending = 5
	historyReplay  = (historyPending + 5) * time.Minute

	// historyAtClose is how long Close waits for the last minute to be told.
	historyAtClose = time.Second
)

// WithHistory has this pod tell Redis once a minute what it granted: how many
// shards, how long they had waited, and what is left of the budget. [RedisQueue.History]
// returns the last 24 hours of all pods that do, so give it to all of them. It is one
// call a minute for each pod that has granted anything in it, and none for the others;
// Redis keeps at most 1440 minutes, and forgets them an hour after the last is a day
// old. A pod that is killed leaves out the minute that it was in. A call that fails
// does no harm: it is made again with the next minutes, up to five. By default nothing
// is told.
func WithHistory() Option { return func(c *config) { c.history = true } }

// History returns what all pods with [WithHistory] granted in the last 24 hours, by
// minutes in their order, the one that goes on left out. It reads only, blocks for one
// call, and does not try again.
func (q *RedisQueue) History(ctx context.Context) ([]gatewayqueue.Minute, error) {
	if q.ctx.Err() != nil {
		return nil, gatewayqueue.ErrClosed
	}
	minutes, err := q.store.history(ctx)
	if err != nil && classify(err) == returned {
		err = explain(err, q.store.keys)
	}
	return minutes, err
}

// record has the queue's events counted.
func (q *RedisQueue) record() {
	r, next := &recorder{queue: q}, q.config.observe
	q.config.observe = func(e gatewayqueue.Event) {
		r.observe(e)
		next(e)
	}
}

// recorder counts what its pod grants, by minutes of Redis's clock. Its goroutine runs
// while there is something to tell.
type recorder struct {
	queue *RedisQueue

	mu      sync.Mutex
	running bool
	heard   time.Time // when Redis's clock was heard last; zero for never
	clock   int64     // what it showed then (ms)
	number  int       // of the last tally
	current *tally    // of the minute that goes on
	over    []*tally  // that are to be told, the oldest first
	failed  bool      // the log has said so
}

// tally is what was granted in one minute.
type tally struct {
	minute int64     // of Redis's clock, as far as it is known
	number int       // of this pod's tallies
	first  time.Time // when the first event of it was
	minuteCounts
}

type minuteCounts struct {
	granted, returned int
	waits             gatewayqueue.Waits
}

// observe counts an event. The caller holds no lock.
func (r *recorder) observe(e gatewayqueue.Event) {
	if e.Kind != gatewayqueue.EventGranted && e.Kind != gatewayqueue.EventAbandoned {
		return
	}
	r.mu.Lock()
	t := r.at(time.Now())
	if e.Kind == gatewayqueue.EventGranted {
		t.granted++
		t.waits.Add(e.Elapsed)
	} else {
		t.returned++
	}
	starts := !r.running
	r.running = true
	r.mu.Unlock()
	if !starts {
		return
	}
	q := r.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.closed { // else it is too late to be told
		q.run(r.run)
	}
}

// minuteOf is the minute of Redis's clock; of this machine's until Redis's was heard. The
// caller holds mu.
func (r *recorder) minuteOf(now time.Time) (minute int64, ends time.Duration) {
	ms := now.UnixMilli()
	if !r.heard.IsZero() {
		ms = r.clock + now.Sub(r.heard).Milliseconds()
	}
	minute = ms / time.Minute.Milliseconds()
	return minute, time.Duration((minute+1)*time.Minute.Milliseconds()-ms) * time.Millisecond
}

// at is the tally of a moment. The caller holds mu.
func (r *recorder) at(now time.Time) *tally {
	minute, _ := r.minuteOf(now)
	if r.current != nil && r.current.minute != minute {
		r.end()
	}
	if r.current == nil {
		r.number++
		r.current = &tally{minute: minute, number: r.number, first: now, minuteCounts: minuteCounts{waits: make(gatewayqueue.Waits)}}
	}
	return r.current
}

// end has the current tally told with the next call. The caller holds mu.
func (r *recorder) end() {
	if r.current != nil {
		r.over = append(r.over, r.current)
		r.current = nil
	}
}

// run tells each minute soon after it has ended, until there is nothing more to tell.
func (r *recorder) run() {
	q := r.queue
	for {
		r.mu.Lock()
		_, ends := r.minuteOf(time.Now())
		r.mu.Unlock()
		if !q.pause(ends+rand.N(historySpread), nil) {
			r.last()
			return
		}
		r.tell(q.ctx, false)
		r.mu.Lock()
		done := r.current == nil && len(r.over) == 0
		r.running = !done
		r.mu.Unlock()
		if done {
			return
		}
	}
}

// last tells what there is when the queue closes, unless Redis is away.
func (r *recorder) last() {
	if r.queue.health.last() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), historyAtClose)
	defer cancel()
	r.tell(ctx, true)
}

// tell tells the minutes that are over; all is also the one that goes on.
func (r *recorder) tell(ctx context.Context, all bool) {
	now := time.Now()
	r.mu.Lock()
	if minute, _ := r.minuteOf(now); r.current != nil && (all || r.current.minute != minute) {
		r.end()
	}
	r.over = slices.DeleteFunc(r.over, func(t *tally) bool { return now.Sub(t.first) > (historyPending+1)*time.Minute })
	over := slices.Clone(r.over)
	r.mu.Unlock()
	if len(over) == 0 {
		return
	}
	clock, err := r.queue.store.record(ctx, over)
	heard := time.Now()
	r.mu.Lock()
	fails := err != nil && !r.failed
	r.failed = err != nil
	if err == nil {
		r.heard, r.clock = heard, clock
		r.over = r.over[len(over):] // only this goroutine takes any out
	}
	r.mu.Unlock()
	if fails {
		if classify(err) == returned {
			err = explain(err, r.queue.store.keys)
		}
		r.queue.config.log.Warn("could not record the history: it is tried again for some minutes, and nothing else suffers", "error", err)
	}
}

// String is what Redis counts: each class of waits by its number.
func (c minuteCounts) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "granted=%d returned=%d", c.granted, c.returned)
	classes := make([]int, 0, len(c.waits))
	for class := range c.waits {
		classes = append(classes, class)
	}
	slices.Sort(classes)
	for _, class := range classes {
		fmt.Fprintf(&b, " %d=%d", class, c.waits[class])
	}
	return b.String()
}

// record adds tallies to the history. It returns Redis's clock (ms).
func (s *store) record(ctx context.Context, tallies []*tally) (clock int64, err error) {
	keys := s.keys.of(recordScript.Keys, 0, "")
	keys[slices.Index(recordScript.Keys, "recorded")] += ":" + s.config.pod
	var each []any
	for _, t := range tallies {
		each = append(each, t.number, time.Since(t.first).Milliseconds(), t.String())
	}
	r := s.run(ctx, recordScript, keys, recordScript.Order(lua.Values{"keep": historyKept, "replay": historyReplay}, each...)...)
	clock = r.at("now").int64()
	return clock, r.done()
}

func (s *store) history(ctx context.Context) ([]gatewayqueue.Minute, error) {
	r := s.run(ctx, historyScript, s.keys.of(historyScript.Keys, 0, ""), historyScript.Order(lua.Values{})...)
	now := r.at("now").int64() / time.Minute.Milliseconds()
	var minutes []gatewayqueue.Minute
	for _, text := range r.at("minutes").list().pairs() {
		minute, m, ok := parseMinute(text)
		if ok && minute < now && minute >= now-gatewayqueue.HistoryMinutes { // else of the day before, or of another version
			minutes = append(minutes, m)
		}
	}
	slices.SortFunc(minutes, func(a, b gatewayqueue.Minute) int { return a.Start.Compare(b.Start) })
	return minutes, r.done()
}

// parseMinute reads what record.lua writes: <minute> <left>/<total> name=count ..., with
// - for a budget that is not known.
func parseMinute(text string) (minute int64, m gatewayqueue.Minute, ok bool) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return 0, m, false
	}
	minute, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		return 0, m, false
	}
	m = gatewayqueue.Minute{Start: time.UnixMilli(minute * time.Minute.Milliseconds()), Waits: make(gatewayqueue.Waits)}
	left, total, found := strings.Cut(words[1], "/")
	var bad1, bad2 error
	m.Remaining, bad1 = strconv.Atoi(left)
	m.Total, bad2 = strconv.Atoi(total)
	if !found || bad1 != nil || bad2 != nil {
		m.Remaining, m.Total, m.Unknown = 0, 0, true
	}
	for _, word := range words[2:] {
		name, count, _ := strings.Cut(word, "=")
		n, err := strconv.Atoi(count)
		if err != nil {
			return 0, m, false
		}
		switch class, err := strconv.Atoi(name); {
		case name == "granted":
			m.Granted = n
		case name == "returned":
			m.Returned = n
		case err == nil:
			m.Waits[class] = n
		}
	}
	m.P50, m.P99 = m.Waits.Quantile(0.5), m.Waits.Quantile(0.99)
	return minute, m, true
}
