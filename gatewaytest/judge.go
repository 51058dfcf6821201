// The judge: it is told of every IDENTIFY and rules on it as Discord would,
// only stricter. It has no goroutine and no timer, so it also works in a
// testing/synctest bubble.

package gatewaytest

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Judge records identifies and finds those that Discord would punish. Its
// methods may be called from any number of goroutines and never block for
// longer than another of them runs.
//
// It is stricter than Discord in two ways: it has no tolerance at all, and an
// identify that came too early starts a new window and spends a unit of the
// budget like any other.
type Judge struct {
	window time.Duration
	start  time.Time

	mu         sync.Mutex
	limit      gatewayqueue.SessionStartLimit // Remaining is live
	resetAt    time.Duration                  // end of the period, since start
	began      bool                           // whether a period has begun
	lastShard  map[int]time.Duration          // each shard's last identify
	lastBucket map[int]time.Duration          // the same, by the mapping in force
	record     []Identify
}

// Identify is one recorded IDENTIFY.
type Identify struct {
	Shard  int           `json:"shard"`
	Bucket int           `json:"bucket"` // by the max_concurrency of that moment
	At     time.Duration `json:"at_ns"`  // since NewJudge, on the monotonic clock
	// Gap is the time since the previous identify of the bucket. It is 0 for
	// the first one, and for one that came in the same instant as the one
	// before it, which is then Early.
	Gap   time.Duration `json:"gap_ns"`
	Early bool          `json:"early,omitempty"`
	Over  bool          `json:"over,omitempty"`
}

// First reports whether this was the first identify of its bucket.
func (i Identify) First() bool { return i.Gap == 0 && !i.Early }

// Ruling is what the judge says about one identify.
type Ruling struct {
	Accepted bool          `json:"accepted"` // neither Early nor Over
	Early    bool          `json:"early"`    // a violation: less than a window since the previous one of its bucket
	Over     bool          `json:"over"`     // a disaster: the budget was used up
	Gap      time.Duration `json:"gap_ns"`   // as in [Identify]
}

// NewJudge returns a judge that starts now. It panics if limit is not valid or
// window is negative.
//
// The budget is counted from limit.Remaining. It is full again (limit.Total)
// once limit.ResetAfter has passed. The next period begins with the next
// identify and lasts [gatewayqueue.LimitPeriod]; so does the first one if
// ResetAfter is 0. A limit whose MaxConcurrency is 0 is no limit: identifies
// are then recorded, each is accepted, and none is counted.
func NewJudge(limit gatewayqueue.SessionStartLimit, window time.Duration) *Judge {
	if window < 0 {
		panic(&gatewayqueue.InvalidError{Field: "window", Value: window, Want: "0 or more"})
	}
	j := &Judge{
		window:    window,
		start:     time.Now(),
		lastShard: make(map[int]time.Duration),
	}
	j.SetLimit(limit)
	return j
}

// SetLimit puts another limit in force from now on, its budget included. It
// panics if limit is not valid.
//
// When MaxConcurrency changes, gaps are from then on counted by the new
// mapping, over what is known of the past: a bucket's previous identify is the
// latest one of all shards that are in it now. What was ruled stays ruled.
func (j *Judge) SetLimit(limit gatewayqueue.SessionStartLimit) {
	if err := limit.Validate(); err != nil {
		panic(err)
	}
	now := time.Since(j.start)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.setLimit(limit, now)
}

// changeLimit puts in force what change makes of the limit as it is now, unless it
// fails or that is not valid, and returns it.
func (j *Judge) changeLimit(change func(*gatewayqueue.SessionStartLimit) error) (gatewayqueue.SessionStartLimit, error) {
	now := time.Since(j.start)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refill(now)
	limit := j.reported(now)
	if err := change(&limit); err != nil {
		return limit, err
	}
	if err := limit.Validate(); err != nil {
		return limit, err
	}
	j.setLimit(limit, now)
	return limit, nil
}

// setLimit is SetLimit. Called with j.mu held.
func (j *Judge) setLimit(limit gatewayqueue.SessionStartLimit, now time.Duration) {
	j.limit = limit
	j.began = limit.ResetAfter > 0
	j.resetAt = now + limit.ResetAfter
	j.lastBucket = make(map[int]time.Duration, limit.MaxConcurrency)
	for shard, at := range j.lastShard {
		b := limit.Bucket(shard)
		j.lastBucket[b] = max(j.lastBucket[b], at)
	}
}

// Limit is the limit as Discord would report it now: Remaining and ResetAfter
// are live.
func (j *Judge) Limit() gatewayqueue.SessionStartLimit {
	now := time.Since(j.start)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.refill(now)
	return j.reported(now)
}

// Window is the least time between two identifies of a bucket.
func (j *Judge) Window() time.Duration { return j.window }

// Identify records an IDENTIFY of shardID that arrives now, and rules on it. A
// negative shard ID is not accepted and not recorded: Discord closes such a
// connection before it counts anything.
func (j *Judge) Identify(shardID int) Ruling {
	return j.identifyAt(time.Now(), shardID)
}

// identifyAt is Identify for one whose arrival was noted earlier, before
// anything that could delay it.
func (j *Judge) identifyAt(arrival time.Time, shardID int) Ruling {
	if shardID < 0 {
		return Ruling{}
	}
	at := arrival.Sub(j.start)
	j.mu.Lock()
	defer j.mu.Unlock()
	one := Identify{Shard: shardID, Bucket: j.limit.Bucket(shardID), At: at}

	last, known := j.lastBucket[one.Bucket]
	if known {
		// Two that arrive together may get here in the wrong order. Whichever
		// comes second is the early one.
		one.Gap = (at - last).Abs()
	}
	if j.limit.MaxConcurrency > 0 {
		one.Early = known && one.Gap < j.window
		one.Over = !j.spend(at)
	}
	j.lastBucket[one.Bucket] = max(last, at)
	j.lastShard[shardID] = max(j.lastShard[shardID], at)
	j.record = append(j.record, one)
	return Ruling{Accepted: !one.Early && !one.Over, Early: one.Early, Over: one.Over, Gap: one.Gap}
}

// spend takes one unit of the budget, and reports whether there was one.
func (j *Judge) spend(at time.Duration) bool {
	j.refill(at)
	if !j.began {
		j.began, j.resetAt = true, at+gatewayqueue.LimitPeriod
	}
	if j.limit.Remaining == 0 {
		return false
	}
	j.limit.Remaining--
	return true
}

// refill ends a period whose time is up.
func (j *Judge) refill(at time.Duration) {
	if j.began && at >= j.resetAt {
		j.began, j.limit.Remaining = false, j.limit.Total
	}
}

// reported is the limit with the time that is left of the period.
func (j *Judge) reported(at time.Duration) gatewayqueue.SessionStartLimit {
	limit := j.limit
	limit.ResetAfter = 0
	if j.began {
		limit.ResetAfter = j.resetAt - at
	}
	return limit
}

// Record returns every identify so far, in the order of arrival.
func (j *Judge) Record() []Identify {
	j.mu.Lock()
	record := slices.Clone(j.record)
	j.mu.Unlock()
	slices.SortStableFunc(record, func(a, b Identify) int { return cmp.Compare(a.At, b.At) })
	return record
}

// Handoffs returns, for each identify after the first of its bucket, how long
// after the bucket's opening it arrived: the gap minus closes, the time for
// which an identify closes a bucket (window and margin). They come in the order
// of arrival; a negative one came before the bucket was open.
func (j *Judge) Handoffs(closes time.Duration) []time.Duration {
	var handoffs []time.Duration
	for _, one := range j.Record() {
		if !one.First() {
			handoffs = append(handoffs, one.Gap-closes)
		}
	}
	return handoffs
}
