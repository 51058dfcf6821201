// Pauses, as the page shows them, and the orders that it can give.

package dashboard

import (
	"context"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

const (
	// ordersEvery is how often the orders of the past are asked for, unless a pause has
	// just begun or ended.
	ordersEvery = 30 * time.Second

	// ordersShown is how many of them are listed.
	ordersShown = 10
)

// WithOrders has the page pause and resume the grants: by POST to api + "/pause" and
// api + "/resume", as a server has them under /v1 ([httpqueue.Handler]). It asks for
// the server's token, without which that takes no orders; the page itself still only
// reads. queue tells of the orders of the past. An empty api is for no buttons, but
// the list.
func WithOrders(queue gatewayqueue.Pauser, api string) Option {
	return func(b *Dashboard) { b.pauser, b.api = queue, api }
}

// pause is the one in force. Times are ms since 1970 on the queue's clock, 0 for none.
type pause struct {
	Since int64  `json:"since,omitempty"`
	Until int64  `json:"until,omitempty"` // 0: until somebody resumes
	Who   string `json:"who,omitempty"`
	Why   string `json:"why,omitempty"`
}

func pauseOf(p *gatewayqueue.PauseStatus) *pause {
	if p == nil {
		return nil
	}
	return &pause{millis(p.Since), millis(p.Until), p.Who, p.Why}
}

// order is one of the past.
type order struct {
	Time int64  `json:"time"`
	What string `json:"what"`
	For  int64  `json:"for,omitempty"` // ms
	Who  string `json:"who"`
	Why  string `json:"why"`
}

// lookAtOrders asks for the orders of the past, if it is time to. Only the poller calls
// it, with the pause that its look has shown.
func (b *Dashboard) lookAtOrders(ctx context.Context, now *gatewayqueue.PauseStatus) {
	same := (now == nil) == (b.ordersOf == nil) && (now == nil || *now == *b.ordersOf)
	if b.pauser == nil || same && time.Since(b.ordersAt) < ordersEvery {
		return
	}
	b.ordersAt, b.ordersOf = time.Now(), now
	audit, err := b.pauser.Audit(ctx)
	if err != nil {
		return // the queue's own trouble is told, and what was heard before stays
	}
	b.seenOrders, b.olderOrders = nil, max(0, len(audit)-ordersShown)
	for _, e := range audit[:min(len(audit), ordersShown)] {
		b.seenOrders = append(b.seenOrders, order{millis(e.Time), e.What, e.For.Milliseconds(), e.Who, e.Why})
	}
}
