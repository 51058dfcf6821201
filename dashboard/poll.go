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
		wait := b.interval
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

// look takes one snapshot and tells the viewers of what has changed.
func (b *Dashboard) look() {
	ctx, cancel := context.WithTimeout(b.ctx, lookTimeout)
	defer cancel()
	status, err := b.queue.Status(ctx)
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
		if board, err = json.Marshal(b.tracker.take(status)); err != nil {
			trouble = err.Error() // only a bug could
		}
	}
	if bytes.Equal(board, b.board) && trouble == b.trouble && grants == b.tracker.rev {
		return
	}
	b.board, b.trouble = board, trouble
	b.rev++
	for v := range b.watch {
		v.wake()
	}
}
