// What servers of one queue tell each other: the key that they seal with, and
// what became of a wait. On Redis all of them know; a queue of one process has
// one server.

package httpqueue

import (
	"context"
	"sync"
	"time"
)

// notes keeps values by name. remember sets one, unless there is one already or
// replace is set, and returns the one in force and for how long it is kept yet,
// counted from when the name first had one; negative for ever, or for none. An
// empty value only asks.
type notes interface {
	Remember(ctx context.Context, name, value string, keep time.Duration, replace bool) (inForce string, left time.Duration, err error)
}

// ownNotes are those of one process.
type ownNotes struct {
	mu     sync.Mutex
	values map[string]ownNote
	swept  time.Time
}

type ownNote struct {
	value string
	until time.Time // zero for ever
}

const sweepEvery = time.Minute

func (n *ownNotes) Remember(_ context.Context, name, value string, keep time.Duration, replace bool) (string, time.Duration, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	n.sweep(now)
	known, ok := n.values[name]
	if ok && known.over(now) {
		known, ok = ownNote{}, false
	}
	if value != "" && (!ok || replace) {
		if known.value = value; !ok && keep > 0 {
			known.until = now.Add(keep)
		}
		if n.values == nil {
			n.values = make(map[string]ownNote)
		}
		n.values[name] = known
	}
	if known.until.IsZero() {
		return known.value, -1, nil
	}
	return known.value, known.until.Sub(now), nil
}

func (n ownNote) over(now time.Time) bool { return !n.until.IsZero() && !now.Before(n.until) }

// sweep forgets what is over.
func (n *ownNotes) sweep(now time.Time) {
	if now.Sub(n.swept) < sweepEvery {
		return
	}
	n.swept = now
	for name, note := range n.values {
		if note.over(now) {
			delete(n.values, name)
		}
	}
}
