// What the pods have told: who was granted when, who is up, who has failed.

package demo

import (
	"sync"
	"time"
)

// grant is a moment at which a shard was allowed to identify.
type grant struct {
	Shard int
	Pod   string
	At    time.Duration // since the start
}

// progress is how far the fleet is.
type progress struct {
	Up, Failed int
	Elapsed    time.Duration
	Missing    []int // by bucket: shards that are neither up nor failed
}

// ledger is safe for concurrent use.
type ledger struct {
	shards, buckets int
	half            chan struct{} // closed when half of the shards are up
	done            chan struct{} // closed when each shard is up or has failed
	onUp            func(event, progress)

	mu       sync.Mutex
	started  time.Time
	grants   []grant
	up       map[int]bool
	failures map[int]event
	halved   sync.Once
	finished sync.Once
}

func newLedger(shards, buckets int, onUp func(event, progress)) *ledger {
	return &ledger{
		shards: shards, buckets: buckets, onUp: onUp, started: time.Now(),
		half: make(chan struct{}), done: make(chan struct{}),
		up: map[int]bool{}, failures: map[int]event{},
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
	case identified:
		l.isUp(e.Shard)
		l.onUp(e, l.progress())
	case failed:
		l.failures[e.Shard] = e
	}
	l.check()
}

// saw takes down shards that identified although nobody told so any more.
func (l *ledger) saw(shards ...int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, shard := range shards {
		l.isUp(shard)
	}
	l.check()
}

func (l *ledger) isUp(shard int) {
	l.up[shard] = true
	delete(l.failures, shard)
}

func (l *ledger) check() {
	if len(l.up) >= (l.shards+1)/2 {
		l.halved.Do(func() { close(l.half) })
	}
	if len(l.up)+len(l.failures) == l.shards {
		l.finished.Do(func() { close(l.done) })
	}
}

// missing returns those of shards that are not up.
func (l *ledger) missing(shards []int) []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	var missing []int
	for _, shard := range shards {
		if !l.up[shard] {
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
	p := progress{
		Up: len(l.up), Failed: len(l.failures), Elapsed: time.Since(l.started), Missing: make([]int, l.buckets),
	}
	for shard := range l.shards {
		if _, gaveUp := l.failures[shard]; !gaveUp && !l.up[shard] {
			p.Missing[shard%l.buckets]++
		}
	}
	return p
}
