// The history: what this pod grants, told to Redis once a minute, and what all pods
// granted in the last day. It is kept for people: nothing is decided by it.

package redisqueue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/ctxerr"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
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
	if q.shell.facts().Closed {
		return nil, gatewayqueue.ErrClosed
	}
	minutes, err := call(ctx, q, wire.History{})
	return minutes, q.explained(err)
}

// record has the queue's events counted.
func (q *RedisQueue) record() {
	r, next := &recorder{queue: q}, q.config.observe
	q.config.observed = true
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
	if s := r.queue.shell; s.ctx.Err() == nil { // else it is too late to be told
		s.work.Go(r.run)
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
	q := r.queue.shell
	for {
		r.mu.Lock()
		_, ends := r.minuteOf(time.Now())
		r.mu.Unlock()
		if ctxerr.Sleep(q.ctx, ends+rand.N(historySpread)) != nil {
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
	if r.queue.shell.facts().Last != nil {
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
	request := wire.Record{Pod: r.queue.config.Name, Keep: historyKept, Replay: historyReplay}
	for _, t := range over {
		request.Tallies = append(request.Tallies, wire.Tally{Number: t.number, Ago: now.Sub(t.first), Counts: t.String()})
	}
	clock, err := call(ctx, r.queue, request)
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
		r.queue.config.log.Warn("could not record the history: it is tried again for some minutes, and nothing else suffers",
			"error", r.queue.explained(err))
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
