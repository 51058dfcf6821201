// The dialer: where the limiter sees what disgo sends.

package disgoqueue

import (
	"context"
	"net"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/gatewayconn"
)

// DialContext is the NetDialContext of a websocket.Dialer. A connection on
// which no HELLO comes within 45 s is closed. The Dialer's Proxy must be nil
// (see [WithNetDial]) and its EnableCompression off.
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

// identify says whether an IDENTIFY may leave.
func (l *Limiter) identify(_ context.Context, _ *gatewayconn.Conn, shardID int) (func(), error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.shards[shardID]; s != nil {
		for _, h := range s.held {
			switch {
			case h.sent:
				continue
			case !time.Now().Before(h.permit.Deadline()):
				l.log.Warn("IDENTIFY came after its permit had ended: it was not sent", "shard", shardID)
				return nil, gatewayqueue.ErrPermitExpired
			}
			h.sent = true // from here on it is as good as sent
			return func() {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.report(h.permit.Identified)
			}, nil
		}
	}
	l.log.Warn("IDENTIFY without a permit was not sent", "shard", shardID)
	return nil, ErrNoPermit
}
