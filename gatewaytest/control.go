// What a test does to the server, and waits for: reconnects, restarts, counts.

package gatewaytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/coder/websocket"

	"github.com/gatewayqueue/gatewayqueue"
)

type orderKind int

const (
	orderClose     orderKind = iota // with code
	orderSever                      // without a close frame
	orderReconnect                  // op 7
	orderInvalid                    // op 9, d as in resumable
	orderHeartbeat                  // op 1
)

// order is what another goroutine wants a connection to do.
type order struct {
	kind      orderKind
	code      websocket.StatusCode
	resumable bool
}

// tell gives c an order. It never blocks, so that connections may tell each
// other. Called with s.mu held.
func (s *Server) tell(c *conn, o order) {
	c.orders = append(c.orders, o)
	c.wakeUp()
}

// obey does what the connection was told.
func (c *conn) obey() {
	c.s.mu.Lock()
	orders := c.orders
	c.orders = nil
	c.s.mu.Unlock()
	for _, o := range orders {
		if c.over {
			return
		}
		switch o.kind {
		case orderClose:
			c.close(o.code)
		case orderSever:
			c.over = true
		case orderReconnect:
			c.reconnect()
		case orderInvalid:
			c.invalidSession(o.resumable)
		case orderHeartbeat:
			c.write(opHeartbeat, nil)
		}
	}
}

// reconnect sends op 7.
func (c *conn) reconnect() {
	c.s.count(func(stats *Stats) { stats.Reconnects++ })
	c.saw(func(r *ShardReport) { r.Reconnects++ })
	c.write(opReconnect, nil)
	c.eviction.Reset(reconnectGrace)
}

// Reconnect tells ready shards to reconnect and resume (op 7): those given, or
// all. It returns to how many sessions that was said. They are no longer Ready
// until they have resumed; a connection that is still there after 5 s is closed.
// Reconnect does not wait for anything.
func (s *Server) Reconnect(shards ...int) int {
	return s.tellReady(shards, order{kind: orderReconnect}, func(sess *session) {
		sess.Ready = false
	})
}

// Invalidate tells ready shards that their session is invalid (op 9): those
// given, or all. It returns to how many sessions that was said. If resumable,
// they may resume; if not, the sessions have ended and they must IDENTIFY. The
// connections stay open, as Discord leaves them. Invalidate does not wait for
// anything.
func (s *Server) Invalidate(resumable bool, shards ...int) int {
	return s.tellReady(shards, order{kind: orderInvalid, resumable: resumable}, func(sess *session) {
		sess.Ready = false
		if !resumable {
			delete(s.sessions, sess.ID)
		}
	})
}

// tellReady gives an order to the connections of ready shards.
func (s *Server) tellReady(shards []int, o order, each func(*session)) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := 0
	for _, sess := range s.sessions {
		if sess.Ready && selected(shards, sess.Shard) {
			s.tell(sess.conn, o)
			each(sess)
			told++
		}
	}
	s.notify()
	return told
}

// selected reports whether shard is one of shards; none are all.
func selected(shards []int, shard int) bool {
	return len(shards) == 0 || slices.Contains(shards, shard)
}

// RequestHeartbeats asks ready shards for a heartbeat (op 1), which they should
// send at once: those given, or all. It returns how many were asked.
func (s *Server) RequestHeartbeats(shards ...int) int {
	return s.tellReady(shards, order{kind: orderHeartbeat}, func(*session) {})
}

// CloseShards closes the connections of ready shards with one of Discord's close
// codes: those given, or all. It returns how many. Sessions end with the codes
// for which the table in this package's documentation says so. CloseShards does
// not wait for anything.
func (s *Server) CloseShards(code int, shards ...int) (int, error) {
	rule, known := closeRules[websocket.StatusCode(code)]
	if !known {
		return 0, &gatewayqueue.InvalidError{Field: "close code", Value: code, Want: "1000, 1001, 4000 to 4005, or 4007 to 4014"}
	}
	return s.tellReady(shards, order{kind: orderClose, code: websocket.StatusCode(code)}, func(sess *session) {
		sess.Ready = false
		if !rule.resumable {
			delete(s.sessions, sess.ID)
		}
	}), nil
}

// RefuseResumes answers every RESUME with op 9 (d false) for so long from now
// on, and ends the session that it names. 0 ends that.
func (s *Server) RefuseResumes(lasts time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noResumes = time.Now().Add(lasts)
}

// LimitGatewayBot answers every GET /gateway/bot with 429 for so long from now
// on; Retry-After says for how long still. 0 ends that.
func (s *Server) LimitGatewayBot(lasts time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noGatewayBot = time.Now().Add(lasts)
}

// gatewayBotLimited is for how long GET /gateway/bot is answered with 429 still.
func (s *Server) gatewayBotLimited() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Until(s.noGatewayBot)
}

// DelayReady is [WithReadyDelay] from now on, for each IDENTIFY that comes.
func (s *Server) DelayReady(d Delay) { s.setDelay(&s.readyDelay, d) }

// DelayHello is [WithLatency] from now on, for each request for a connection.
func (s *Server) DelayHello(d Delay) { s.setDelay(&s.latency, d) }

// DelayFrames is [WithTransit] from now on, for each frame that comes.
func (s *Server) DelayFrames(d Delay) { s.setDelay(&s.transit, d) }

func (s *Server) setDelay(which *Delay, d Delay) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*which = d
}

// nextDelay is how long it takes this time.
func (s *Server) nextDelay(which *Delay) time.Duration {
	s.mu.Lock()
	d := *which
	s.mu.Unlock()
	return d.next()
}

// Restart is a restart of the whole fleet of gateways: every session ends and
// every connection is closed (1001). Clients that try to RESUME hear that their
// session is invalid, so all must IDENTIFY again. Restart does not wait for
// anything; what it ends does not count as Ready from now on.
func (s *Server) Restart() { s.disconnect(order{kind: orderClose, code: closeGoingAway}, false) }

// Drop severs every connection without a close frame, as a broken network does.
// If resumable, sessions can be resumed; if not, they have ended. Like Restart,
// it does not wait for anything.
func (s *Server) Drop(resumable bool) { s.disconnect(order{kind: orderSever}, resumable) }

// disconnect gives an order that ends it to every connection.
func (s *Server) disconnect(o order, resumable bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sess := range s.sessions {
		if resumable && sess.seq > 0 {
			s.detach(sess)
		} else {
			s.endSession(sess)
		}
	}
	for c := range s.conns {
		c.doomed = !resumable // It may be about to begin a session.
		s.tell(c, o)
	}
}

// overrun is the disaster: the budget was overrun, so all sessions end and the
// token is void.
func (s *Server) overrun() {
	s.mu.Lock()
	s.stats.Disasters++
	first := !s.disaster
	s.disaster = true
	s.mu.Unlock()
	if first {
		s.disconnect(order{kind: orderClose, code: closeAuthenticationFailed}, false)
	}
}

// WaitReady blocks until at least n shards are ready at once. Its error says
// how many are; it is the cause of ctx when that ends first.
func (s *Server) WaitReady(ctx context.Context, n int) error {
	for {
		s.mu.Lock()
		changed := s.changed // Before looking, so that nothing is missed.
		s.mu.Unlock()
		if len(s.ReadyShards()) >= n {
			return nil
		}
		var why error
		select {
		case <-changed:
			continue
		case <-ctx.Done():
			why = context.Cause(ctx)
		case <-s.closing:
			why = errClosed
		}
		ready := len(s.ReadyShards())
		if ready >= n { // both at once
			return nil
		}
		return fmt.Errorf("gatewaytest: %d of %d shards are ready: %w", ready, n, why)
	}
}

var errClosed = errors.New("the server is closed")

// Stats counts what happened in a [Server] since it started. What identifies
// there were, and which came too early, its [Judge] knows.
type Stats struct {
	Connections     int `json:"connections"`      // requests for a connection, refused ones included
	Readies         int `json:"readies"`          // READY sent
	Resumes         int `json:"resumes"`          // RESUMED sent
	RefusedResumes  int `json:"refused_resumes"`  // RESUME of a session that had ended
	InvalidSessions int `json:"invalid_sessions"` // op 9 sent, for whatever reason
	Reconnects      int `json:"reconnects"`       // op 7 sent
	Timeouts        int `json:"timeouts"`         // connections closed because no heartbeat came
	Disasters       int `json:"disasters"`        // identifies past the daily limit

	// IdentifiesInVain is how many identifies came on a connection that the
	// server had ended already, but that had not gone yet. They count, and are in
	// the judge's record; a client that looks before it identifies sends none.
	IdentifiesInVain int `json:"identifies_in_vain"`
}

// Stats returns the counts so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Resumes is how many sessions were resumed.
func (s *Server) Resumes() int { return s.Stats().Resumes }

// InvalidSessions is how many times op 9 was sent, for whatever reason.
func (s *Server) InvalidSessions() int { return s.Stats().InvalidSessions }

func (s *Server) count(add func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add(&s.stats)
}
