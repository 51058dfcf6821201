// IDENTIFYs that may leave for as long as their owner is open.

package gatewayconn

import (
	"context"
	"sync"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

// Sends lets IDENTIFYs leave for as long as their owner is open. The zero Sends
// works.
type Sends struct{ underway sync.RWMutex }

// Do calls send, unless open has ended. A write that blocks ends with open, too.
func (s *Sends) Do(ctx, open context.Context, send Send, permit gatewayqueue.Permit) (bool, error) {
	s.underway.RLock()
	defer s.underway.RUnlock()
	if open.Err() != nil {
		return false, context.Cause(open)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(open, func() { cancel(context.Cause(open)) })()
	return send(ctx, permit)
}

// Wait blocks until all IDENTIFYs have left that Do had begun to send; after the
// end of open, that is at once, and none leaves afterwards.
func (s *Sends) Wait() {
	s.underway.Lock()
	defer s.underway.Unlock()
}

// Heartbeat sends a heartbeat for an owner who cannot, because a hook holds
// him. It names no sequence number: who is about to identify has none. It may
// be called from the Identify hook only, and blocks for 5 s at most.
func (c *Conn) Heartbeat() error {
	return c.Beat(wsframe.AppendMasked(nil, wsframe.Text, []byte(`{"op":1,"d":null}`)))
}
