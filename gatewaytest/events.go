// A session's dispatch events: their numbers, their way to the client, and what
// a RESUME replays.

package gatewaytest

import (
	"encoding/json"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// DefaultReplay is how many events that were sent a session keeps for a RESUME.
const DefaultReplay = 1000

// event is one dispatch event of a session.
type event struct {
	seq  int64
	name string
	data any
	once bool // RESUMED: never replayed
}

// emit gives sess an event, which its connection sends when it can. Called with
// s.mu held, like trim.
func (s *Server) emit(sess *session, name string, data any) {
	sess.seq++
	sess.events = append(sess.events, event{sess.seq, name, data, name == "RESUMED"})
	s.trim(sess)
	if sess.conn != nil {
		sess.conn.wakeUp()
	}
}

// trim forgets the oldest events. What a connection has yet to send stays: a
// client that does not read is cut off by the time-out of writes.
func (s *Server) trim(sess *session) {
	kept := sess.seq
	if sess.conn != nil {
		kept = sess.sent
	}
	for len(sess.events) > s.replay && sess.events[0].seq <= kept {
		if !sess.events[0].once {
			sess.lost = sess.events[0].seq
		}
		sess.events[0] = event{}
		sess.events = sess.events[1:]
	}
}

// nextEvent takes the next event that c has to send. More says that another one
// follows, and again that the event was sent before, on another connection.
func (s *Server) nextEvent(c *conn) (e event, again, more, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sess := c.sess
	if sess == nil || sess.conn != c {
		return e, false, false, false
	}
	for i := max(0, len(sess.events)-int(sess.seq-sess.sent)); i < len(sess.events); i++ {
		e = sess.events[i]
		if e.seq <= sess.sent {
			continue
		}
		sess.sent = e.seq
		if e.once && e.seq <= sess.most {
			continue
		}
		again = e.seq <= sess.most
		sess.most = max(sess.most, e.seq)
		s.trim(sess)
		return e, again, sess.sent < sess.seq, true
	}
	return e, false, false, false
}

// flush sends one event. If there are more it wakes the connection for the next,
// so that heartbeats are answered between.
func (c *conn) flush() {
	if c.over {
		return
	}
	e, again, more, ok := c.s.nextEvent(c)
	if !ok {
		return
	}
	c.send(sent{Op: opDispatch, D: e.data, S: &e.seq, T: &e.name})
	c.saw(func(r *ShardReport) {
		r.Events++
		if again {
			r.Replayed++
		}
	})
	if more {
		c.wakeUp()
	}
}

// Dispatch gives an event, with data as its d, to sessions that have had their
// READY, connected or not: those of the shards given, or all. It returns to how
// many. A session that is not connected gets the event when it resumes. Data is
// encoded once for each session and must not be changed afterwards; Dispatch
// fails if it cannot be encoded, or is encoded as null.
func (s *Server) Dispatch(name string, data any, shards ...int) (int, error) {
	text, err := json.Marshal(data)
	if err != nil || string(text) == "null" || name == "" {
		return 0, &gatewayqueue.InvalidError{Field: "event", Value: name, Want: "a name, and data that JSON can express"}
	}
	return s.dispatch(name, shards, func(*session) any { return json.RawMessage(text) }), nil
}

func (s *Server) dispatch(name string, shards []int, data func(*session) any) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	given := 0
	for _, sess := range s.sessions {
		if sess.seq > 0 && selected(shards, sess.Shard) {
			s.emit(sess, name, data(sess))
			given++
		}
	}
	return given
}

// sendMessages gives every session a message again and again until the server
// ends.
func (s *Server) sendMessages() {
	ticker := time.NewTicker(s.messagePace)
	defer ticker.Stop()
	for n := uint64(1); ; n++ {
		select {
		case <-ticker.C:
			s.dispatch("MESSAGE_CREATE", nil, func(sess *session) any {
				return s.message(sess, n)
			})
		case <-s.ctx.Done():
			return
		}
	}
}
