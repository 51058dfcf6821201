// What the queue says to others than its callers: the observer and the log.

package redisqueue

import (
	"sync"
)

// voice calls what is not ours: the observer and the log. They may be slow, and may
// call the queue, so they have a goroutine of their own; answers to callers stand in
// the same order behind them, so that a caller finds said what was said before.
type voice struct {
	work *jobs

	mu      sync.Mutex
	pending []func()
	busy    bool
}

// later says something; wanted is false where nobody listens.
func (v *voice) later(f func(), wanted bool) {
	if !wanted {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pending = append(v.pending, f)
	if !v.busy {
		v.busy = true
		v.work.Go(v.speak)
	}
}

// say does f at once if nothing stands before it. It must not block.
func (v *voice) say(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.busy {
		v.pending = append(v.pending, f)
		return
	}
	f()
}

func (v *voice) speak() {
	for {
		v.mu.Lock()
		pending := v.pending
		v.pending = nil
		v.busy = len(pending) > 0
		v.mu.Unlock()
		if len(pending) == 0 {
			return
		}
		for _, f := range pending {
			f()
		}
	}
}
