// What the pods have told: who was granted when, who is up, who has failed.

package demo

import (
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// grant is a moment at which a shard was allowed to identify.
type grant struct {
	Shard int
	Pod   string
	At    time.Duration // since the start
}

// progress is how far the fleet is.
type progress struct {
	Up      int
	Refused int // identified, but not accepted by the judge
	Failed  int // gave up before they identified, but not because of the budget
	Left    int // gave up because the budget was used up
	Owed    int // have neither had a unit of the budget nor given up
	Spent   int // units that were granted
	Elapsed time.Duration
	Missing []int // by bucket: shards that are none of these
}

// ledger is safe for concurrent use.
type ledger struct {
	shards, buckets int
	half            chan struct{} // closed when half of the shards have identified
	done            chan struct{} // closed when each shard has identified or failed
	onEnd           func(event, progress)

	mu       sync.Mutex
	started  time.Time
	grants   []grant
	accepted map[int]bool // by the judge, of shards that have identified
	failures map[int]event
	paid     map[int]bool // shards that were granted, and whose pod lives
	halved   sync.Once
	finished sync.Once
}

// newLedger makes an empty one. onEnd hears of each shard that has identified or
// failed.
func newLedger(shards, buckets int, onEnd func(event, progress)) *ledger {
	return &ledger{
		shards: shards, buckets: buckets, onEnd: onEnd, started: time.Now(),
		half: make(chan struct{}), done: make(chan struct{}),
		accepted: map[int]bool{}, failures: map[int]event{}, paid: map[int]bool{},
	}
}

// begin is the moment from which times count.
func (l *ledger) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.started = time.Now()
}

// hear takes down what a pod tells.
func (l *ledger) hear(e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch e.Kind {
	case granted:
		l.grants = append(l.grants, grant{e.Shard, e.Pod, e.At.Sub(l.started)})
		l.paid[e.Shard] = true
	case identified:
		l.identified(e.Shard, e.Ruling.Accepted)
		l.onEnd(e, l.progress())
	case failed:
		l.failures[e.Shard] = e
		l.onEnd(e, l.progress())
	}
	l.check()
}

// saw takes down what the judge has recorded: a pod that was killed may not have
// told of its last identify.
func (l *ledger) saw(record []gatewaytest.Identify) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range record {
		l.identified(one.Shard, !one.Early && !one.Over)
	}
	l.check()
}

func (l *ledger) identified(shard int, accepted bool) {
	l.accepted[shard] = accepted
	delete(l.failures, shard)
}

func (l *ledger) check() {
	if len(l.accepted) >= l.shards/2 {
		l.halved.Do(func() { close(l.half) })
	}
	if len(l.accepted)+len(l.failures) == l.shards {
		l.finished.Do(func() { close(l.done) })
	}
}

// lost takes down that shards have to be granted again: their pod is dead.
func (l *ledger) lost(shards []int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, shard := range shards {
		delete(l.paid, shard)
	}
}

// missing returns those of shards that have not identified.
func (l *ledger) missing(shards []int) []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	var missing []int
	for _, shard := range shards {
		if _, known := l.accepted[shard]; !known {
			missing = append(missing, shard)
		}
	}
	return missing
}

// now is how far the fleet is at this moment.
func (l *ledger) now() progress {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.progress()
}

func (l *ledger) progress() progress {
	p := progress{Spent: len(l.grants), Elapsed: time.Since(l.started), Missing: make([]int, l.buckets)}
	for shard := range l.shards {
		accepted, known := l.accepted[shard]
		failure, gaveUp := l.failures[shard]
		switch {
		case accepted:
			p.Up++
		case known:
			p.Refused++
		case gaveUp && failure.Exhausted:
			p.Left++
		case gaveUp:
			p.Failed++
		default:
			p.Missing[shard%l.buckets]++
			if !l.paid[shard] {
				p.Owed++
			}
		}
	}
	return p
}
