// Sessions: what outlives a connection, and is resumed or replaced by a new IDENTIFY.

package gatewaytest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
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
	conn   *conn // nil while it is not connected
	host   int   // where it lives, or front
	events []event
	seq    int64     // of the last event; 0 before READY
	sent   int64     // of the last event that was sent on this connection
	most   int64     // of the last event that was ever sent
	lost   int64     // of the last event that is no longer in events
	left   time.Time // when it lost its connection
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
	sess.host = s.placeSession()
	s.shardIDs[sess.ID] = shard
	if !c.doomed {
		s.sessions[sess.ID] = sess
	}
	return sess
}

// alive reports whether sess has not been ended, and is c's.
func (s *Server) alive(sess *session, c *conn) bool {
	return s.sessions[sess.ID] == sess && sess.conn == c
}

// shardOf finds the shard of a session that is, or was.
func (s *Server) shardOf(sessionID string) (shard int, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	shard, known = s.shardIDs[sessionID]
	return shard, known
}

// setReady gives sess its READY and what follows it, and notes that it is Ready
// unless it is about to be told to reconnect.
func (s *Server) setReady(sess *session, c *conn, ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Readies++
	s.ledger.of(sess.Shard).Readies++
	guilds := make([]unavailableGuild, s.guilds)
	for n := range guilds {
		guilds[n] = unavailableGuild{guildID(sess.Shard, sess.Shards, n), true}
	}
	s.emit(sess, "READY", readyData{
		Version: c.version, Trace: trace(), User: botUser(), Guilds: guilds,
		PrivateChannels: []any{}, Presences: []any{}, Relationships: []any{}, GuildJoinRequests: []any{},
		GeoOrderedRTCRegions: []string{}, SessionType: "normal",
		SessionID: sess.ID, ResumeGatewayURL: s.resumeURL(sess.host, c.asked),
		Shard: [2]int{sess.Shard, sess.Shards}, Application: readyApplication{ID: ApplicationID},
	})
	for _, g := range guilds {
		s.emit(sess, "GUILD_CREATE", guild{g.ID, s.guildSize})
	}
	if ready && s.alive(sess, c) {
		sess.Ready = true
		s.notify()
	}
}

// setResumed gives sess its RESUMED, after all that it missed.
func (s *Server) setResumed(sess *session, c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Resumes++
	s.ledger.of(sess.Shard).Resumes++
	s.emit(sess, "RESUMED", resumedData{trace()})
	if s.alive(sess, c) {
		sess.Ready = true
		s.notify()
	}
}

// resumable finds the session that c wants to resume and hands it over: a
// connection that still has it is closed. It returns nil if it finds none;
// futureSeq says that there was one, and that it ended because the client has
// seen events that were never sent.
func (s *Server) resumable(c *conn, want resumeData) (sess *session, futureSeq bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire()
	sess = s.sessions[want.SessionID]
	if sess == nil {
		return nil, false
	}
	if sess.conn != nil {
		s.tell(sess.conn, order{kind: orderClose, code: closeUnknownError})
	}
	switch {
	case time.Now().Before(s.noResumes), want.Seq < sess.lost:
		s.endSession(sess)
		return nil, false
	case want.Seq > sess.seq:
		s.endSession(sess)
		return nil, true
	}
	sess.conn, sess.Connected, sess.Ready, sess.sent = c, true, false, want.Seq
	s.notify()
	return sess, false
}

// expire ends the sessions that have gone for too long without a connection.
// Called with s.mu held.
func (s *Server) expire() {
	for _, sess := range s.sessions {
		if s.sessionLife > 0 && sess.conn == nil && time.Since(sess.left) >= s.sessionLife {
			s.endSession(sess)
		}
	}
}

// detach takes sess off its connection; it can be resumed. Called with s.mu
// held, like the two below.
func (s *Server) detach(sess *session) {
	sess.conn, sess.Connected, sess.Ready, sess.left = nil, false, false, time.Now()
	s.trim(sess)
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
	s.expire()
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
