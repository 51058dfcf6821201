package redisqueue

import "sync"

// jobs counts the goroutines of a queue. Unlike those of a [sync.WaitGroup] they may
// begin while somebody waits for their end: permits are reported after Close as well.
type jobs struct {
	mu      sync.Mutex
	running int
	none    chan struct{} // closed once none run; nil if nobody waits for that
}

// Go runs f in a goroutine.
func (j *jobs) Go(f func()) {
	j.mu.Lock()
	j.running++
	j.mu.Unlock()
	go func() {
		defer j.done()
		f()
	}()
}

func (j *jobs) done() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.running--; j.running == 0 && j.none != nil {
		close(j.none)
		j.none = nil
	}
}

// idle returns a channel that is closed once none run.
func (j *jobs) idle() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	none := j.none
	if none == nil {
		none = make(chan struct{})
	}
	if j.running == 0 {
		close(none)
	} else {
		j.none = none
	}
	return none
}
