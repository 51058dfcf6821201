package redisqueue

// A Redis whose TTLs stand still: a miniredis in a test that nobody told to have them
// run down.

import (
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// probeAfter is how long a TTL must have run down.
const probeAfter = 30 * time.Millisecond

// probe looks whether TTLs run down by themselves, on a server that is miniredis: in
// it they do only where it was told so, and no bucket would ever open. It does so
// after a grant, whose slot has a TTL that is known.
func (q *RedisQueue) probe(bucket int, ticket string, closes time.Duration) {
	if !q.known.mini.Load() || q.known.probed.Swap(true) {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return
	}
	q.run(func() {
		if !q.pause(probeAfter, nil) {
			return
		}
		holder, left, err := q.store.remember(q.ctx, q.store.keys.slot(bucket), "", 0, false)
		switch {
		case err != nil || strings.TrimSuffix(holder, permitSuffix) != ticket:
			q.known.probed.Store(false) // ask at the next grant
		case left >= closes-time.Millisecond:
			q.known.still.Store(true)
			q.block(standsStill())
		}
	})
}

func standsStill() *gatewayqueue.BlockedError {
	return &gatewayqueue.BlockedError{
		Reason: gatewayqueue.ReasonStore,
		Text:   "the TTLs of this Redis stand still, so that no bucket ever opens",
		Cure:   "it is miniredis: call ClockTTL(true) on it at the start of the test",
	}
}
