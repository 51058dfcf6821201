// The one poll that all viewers share.

package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"time"
)

const (
	// lookTimeout is how long one look may take.
	lookTimeout = 3 * time.Second

	// background is how often Run has the queue looked at while nobody views:
	// half a window, so that no grant goes unseen.
	background = 2500 * time.Millisecond

	// settled is how long after the end of a window its next grant has been made, so
	// that a look then shows it: one way to Redis and back, and some.
	settled = 50 * time.Millisecond
)

// poll starts the poller unless it runs. The caller holds mu.
func (b *Dashboard) poll() {
	if b.polling || b.closed {
		return
	}
	b.polling = true
	b.work.Go(b.poller)
}

func (b *Dashboard) poller() {
	for {
		b.look()
		b.mu.Lock()
		wait := b.pause()
		if len(b.watch) == 0 {
			wait = max(b.interval, background)
			if b.keep == 0 || b.closed {
				b.polling = false
				b.mu.Unlock()
				return
			}
		}
		b.mu.Unlock()
		select {
		case <-time.After(wait):
		case <-b.ctx.Done():
		}
	}
}

// pause is how long to wait for the next look: until a window that somebody waits for
// has run out, if that is sooner than usual. The caller holds mu.
func (b *Dashboard) pause() time.Duration {
	pause := b.interval
	for _, bucket := range b.last.Buckets {
		if left := time.Duration(bucket.Opens-b.tracker.now) * time.Millisecond; bucket.Waiting > 0 && left > 0 {
			pause = min(pause, left+settled)
		}
	}
	return max(pause, b.interval/2)
}

// look takes one snapshot and tells the viewers of what has changed.
func (b *Dashboard) look() {
	ctx, cancel := context.WithTimeout(b.ctx, lookTimeout)
	defer cancel()
	status, err := b.queue.Status(ctx)
	b.lookAtSights(ctx)
	past := b.lookAtHistory(ctx)
	if err == nil {
		b.lookAtOrders(ctx, status.Pause)
		b.lookAtApps(ctx)
	}
	if b.ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	grants := b.tracker.rev
	board, trouble := b.board, ""
	if err != nil {
		trouble = b.explain(err)
	} else {
		b.seen = time.Now()
		b.status, b.status.Storm = status, b.storm
		b.last = b.tracker.take(status)
		b.last.Apps = b.seenApps
		b.last.Orders, b.last.Older, b.last.API = b.seenOrders, b.olderOrders, b.api
		if b.last.Sights = b.seenSights; b.seenSights != nil {
			b.last.Up = &b.seenSights.Up
		}
		if b.up != nil {
			if n := b.up(); n >= 0 {
				b.last.Up = &n
			}
		}
		if board, err = json.Marshal(b.last); err != nil {
			trouble = err.Error() // only a bug could
		}
	}
	if !b.takeHistory(past) && bytes.Equal(board, b.board) && trouble == b.trouble && grants == b.tracker.rev {
		return
	}
	b.board, b.trouble = board, trouble
	b.rev++
	for v := range b.watch {
		v.wake()
	}
}
