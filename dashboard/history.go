// The last day, as the page gets it: spans of some minutes for the drawing, hours for
// the table.

package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/minutes"
)

const (
	// historyEvery is how often the history is asked for: it changes once a minute.
	historyEvery = 20 * time.Second

	// historySpan is how much time one column of the drawing is about: 144 of them fit
	// the narrowest screen. The page knows it: history.js.
	historySpan = 10 * time.Minute
)

// History asks what was granted in the last 24 hours, as RedisQueue.History does.
type History func(ctx context.Context) ([]gatewayqueue.Minute, error)

// WithHistory has the page draw the last 24 hours: grants, what was left of the
// budget, and waits. It is asked every 20 s while somebody views. By default the page
// does not have it.
func WithHistory(ask History) Option { return func(b *Dashboard) { b.history = ask } }

// history is what the page gets.
type history struct {
	Day   span   `json:"day"` // all of it
	Spans []span `json:"spans"`
	Hours []span `json:"hours"`
}

// span is a minute, or more of them. Times and waits are in ms.
type span struct {
	At       int64 `json:"at"`
	Granted  int   `json:"granted"`
	Returned int   `json:"returned,omitempty"`
	Left     *int  `json:"left,omitempty"` // missing if it was not known
	Total    int   `json:"total,omitempty"`
	P50      int64 `json:"p50"`
	P99      int64 `json:"p99"`
}

func historyOf(all []gatewayqueue.Minute) history {
	return history{spanOf(minutes.Sum(all)), spansOf(minutes.By(all, historySpan)), spansOf(minutes.By(all, time.Hour))}
}

func spansOf(all []gatewayqueue.Minute) []span {
	spans := make([]span, 0, len(all))
	for _, m := range all {
		spans = append(spans, spanOf(m))
	}
	return spans
}

func spanOf(m gatewayqueue.Minute) span {
	s := span{
		At: millis(m.Start), Granted: m.Granted, Returned: m.Returned, Total: m.Total,
		P50: m.P50.Milliseconds(), P99: m.P99.Milliseconds(),
	}
	if !m.Unknown {
		s.Left = &m.Remaining
	}
	return s
}

// lookAtHistory asks for the history, if it is time to; nil for nothing new. Only the
// poller calls it.
func (b *Dashboard) lookAtHistory(ctx context.Context) []byte {
	if b.history == nil || time.Since(b.historyAt) < historyEvery {
		return nil
	}
	b.historyAt = time.Now()
	all, err := b.history(ctx)
	if err != nil { // the queue's own trouble is told, and what was heard before stays
		return nil
	}
	past, err := json.Marshal(historyOf(all))
	if err != nil {
		return nil // only a bug could
	}
	return past
}

// takeHistory says whether it is another than before. The caller holds mu.
func (b *Dashboard) takeHistory(past []byte) bool {
	if past == nil || bytes.Equal(past, b.past) {
		return false
	}
	b.past = past
	b.pastRev++
	return true
}
