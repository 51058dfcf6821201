// Sessions: what outlives a connection, and is resumed or identified anew.

package gatewaytest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Session is one session that the gateway knows. There may be several of one
// shard, as Discord allows: that is how bots are deployed without a gap.
type Session struct {
	ID        string
	Shard     int
	Shards    int // the number of shards that its IDENTIFY gave
	Connected bool
	// Ready: it is connected, has had its READY or RESUMED, and was not told
	// to reconnect since.
	Ready bool
}

// session is guarded by Server.mu.
type session struct {
	Session
	seq  int64 // of the last event
	conn *conn // nil while it is not connected
}

// newSession begins a session of shard on c. It is not Ready yet.
func (s *Server) newSession(c *conn, shard, count int) *session {
	sess := &session{
		Session: Session{
			ID:        fmt.Sprintf("%016x%016x", rand.Uint64(), rand.Uint64()),
			Shard:     shard,
			Shards:    count,
			Connected: true,
		},
		conn: c,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !c.doomed {
		s.sessions[sess.ID] = sess
	}
	return sess
}

// alive reports whether sess has not been ended, and is c's.
func (s *Server) alive(sess *session, c *conn) bool {
	return s.sessions[sess.ID] == sess && sess.conn == c
}

// nextSeq numbers the next event of sess.
func (s *Server) nextSeq(sess *session) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	sess.seq++
	return sess.seq
}

// setReady notes that sess had its READY or RESUMED on c.
func (s *Server) setReady(sess *session, c *conn, resumed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if resumed {
		s.stats.Resumes++
	} else {
		s.stats.Readies++
	}
	if s.alive(sess, c) {
		sess.Ready = true
		s.notify()
	}
}

// resumable finds the session that c wants to resume and hands it over: a
// connection that still has it is closed. It returns nil where there is none;
// futureSeq says that there was one, and that it ended because the client has
// seen events that were never sent.
func (s *Server) resumable(c *conn, want resumeData) (sess *session, futureSeq bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sess = s.sessions[want.SessionID]
	if sess == nil {
		return nil, false
	}
	if sess.conn != nil {
		s.tell(sess.conn, order{kind: orderClose, code: closeUnknownError})
	}
	if want.Seq > sess.seq {
		s.endSession(sess)
		return nil, true
	}
	sess.conn, sess.Connected, sess.Ready = c, true, false
	s.notify()
	return sess, false
}

// detach takes sess off its connection; it can be resumed. Called with s.mu
// held, like the two below.
func (s *Server) detach(sess *session) {
	sess.conn, sess.Connected, sess.Ready = nil, false, false
	s.notify()
}

// endSession ends sess for good.
func (s *Server) endSession(sess *session) {
	delete(s.sessions, sess.ID)
	s.detach(sess)
}

// notify wakes those who wait for sessions to change.
func (s *Server) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// Sessions returns all sessions, connected or resumable, by shard ID.
func (s *Server) Sessions() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Session, 0, len(s.sessions))
	for _, sess := range s.sessions {
		list = append(list, sess.Session)
	}
	slices.SortFunc(list, func(a, b Session) int {
		return cmp.Or(cmp.Compare(a.Shard, b.Shard), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// ReadyShards returns the IDs of all shards that have a Ready session, in
// order, each once.
func (s *Server) ReadyShards() []int {
	var shards []int
	for _, sess := range s.Sessions() {
		if sess.Ready {
			shards = append(shards, sess.Shard)
		}
	}
	return slices.Compact(shards)
}
