// What a queue in memory can be told when it is made.

package memqueue

import (
	"log/slog"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Option changes a default of [New].
type Option func(*Queue)

// WithWindow sets the window, [gatewayqueue.IdentifyDelay] by default. Discord keeps to 5 s;
// another window is for tests.
func WithWindow(window time.Duration) Option {
	return func(q *Queue) { q.window = window }
}

// WithMargin sets what is added to a window that starts at a grant,
// [gatewayqueue.GrantMargin] by default. A bot that dials between Wait and IDENTIFY needs as
// much as its dials vary: more like 1.5 s, or better an Acquire.
func WithMargin(margin time.Duration) Option {
	return func(q *Queue) { q.margin = margin }
}

// WithPermitMargin sets what is added to a window that starts when a permit is
// Identified, [gatewayqueue.IdentifiedMargin] by default.
func WithPermitMargin(margin time.Duration) Option {
	return func(q *Queue) { q.permitMargin = margin }
}

// WithHold keeps every bucket closed for so long at first: a window (and its
// margin) where a process before this one may have granted until now.
func WithHold(d time.Duration) Option {
	return func(q *Queue) { q.hold = d }
}

// WithObserver has the queue report its events to f.
func WithObserver(f func(gatewayqueue.Event)) Option {
	return func(q *Queue) { q.observer = f }
}

// WithLogger sets where the queue says why nothing is granted, at most once a
// minute for each [gatewayqueue.Reason]; [slog.Default] by default. For silence give it
// slog.New(slog.DiscardHandler).
func WithLogger(log *slog.Logger) Option {
	return func(q *Queue) { q.log = log }
}

// WithHistory has the queue keep what it granted in each minute of the last 24 hours,
// for [Queue.History]; by default it does not. It takes some 300 bytes for each
// minute in which anything was granted, and ends with the process.
func WithHistory() Option {
	return func(q *Queue) { q.past = &past24{minutes: make(map[int64]*gatewayqueue.Minute)} }
}
