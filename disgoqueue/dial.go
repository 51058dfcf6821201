// The dialer: where the limiter sees what disgo sends.

package disgoqueue

import (
	"context"
	"errors"
	"net"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn"
)

// DialContext is the NetDialContext of a websocket.Dialer. A connection on
// which no HELLO comes within 45 s is closed.
func (l *Limiter) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return l.dial(ctx, network, addr, false)
}

// DialTLSContext is the NetDialTLSContext of the same websocket.Dialer.
func (l *Limiter) DialTLSContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return l.dial(ctx, network, addr, true)
}

func (l *Limiter) dial(ctx context.Context, network, addr string, encrypted bool) (net.Conn, error) {
	l.mu.Lock()
	l.dials++
	l.mu.Unlock()
	conn, err := l.dialer.Dial(ctx, network, addr, encrypted)
	if err != nil {
		return nil, err
	}
	return gatewayconn.Wrap(conn, gatewayconn.Patience, gatewayconn.Hooks{Identify: l.identify}), nil
}

// identify lets an IDENTIFY leave whose shard holds a permit.
func (l *Limiter) identify(ctx context.Context, c *gatewayconn.Conn, shardID int, send gatewayconn.Send) error {
	defer l.reports.Expect()()
	h := l.claim(shardID)
	if h == nil {
		l.log.Warn("IDENTIFY without a permit was not sent", "shard", shardID)
		return ErrNoPermit
	}
	sent, err := l.sends.Do(ctx, l.ctx, send, h.permit)
	if errors.Is(err, gatewayqueue.ErrPermitExpired) {
		l.log.Warn("IDENTIFY came after its permit had ended: it was not sent", "shard", shardID)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case sent:
		h.state = isSent
		l.reports.Identified(h.permit, c.Line, l.unreported)
	case h.unlocked:
		l.abandon(h.permit)
	default:
		h.state = unsent // until Unlock
	}
	return err
}

// claim finds a permit of the shard for an IDENTIFY that is about to leave.
func (l *Limiter) claim(shardID int) *hold {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.shards[shardID]; s != nil {
		for _, h := range s.held {
			if h.state == unsent {
				h.state = sending
				return h
			}
		}
	}
	return nil
}
