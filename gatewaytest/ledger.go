// The ledger: what the server saw of each shard.

package gatewaytest

import (
	"cmp"
	"slices"
	"time"
)

// Heartbeats counts a shard's heartbeats (op 1) by what its connection was doing.
type Heartbeats struct {
	// Early came before IDENTIFY or RESUME and less than one interval after
	// HELLO, as the jitter of a client's first heartbeat has it.
	Early int `json:"early"`
	// Waiting came before IDENTIFY or RESUME and later: what keeps a
	// connection alive whose IDENTIFY waits its turn.
	Waiting int `json:"waiting"`
	// Starting came between IDENTIFY and READY. Discord asks for none there.
	Starting int `json:"starting"`
	// Ready came after READY or RESUMED.
	Ready int `json:"ready"`
}

func (h *Heartbeats) add(other Heartbeats, sign int) {
	h.Early += sign * other.Early
	h.Waiting += sign * other.Waiting
	h.Starting += sign * other.Starting
	h.Ready += sign * other.Ready
}

// ShardReport is what a [Server] saw of one shard.
type ShardReport struct {
	// Shard is -1 for connections that have not said which shard they are.
	Shard           int        `json:"shard"`
	Connections     int        `json:"connections"` // that were opened
	Identifies      int        `json:"identifies"`  // that came, whatever the answer
	Readies         int        `json:"readies"`     // READY sent
	Resumes         int        `json:"resumes"`     // RESUMED sent
	RefusedResumes  int        `json:"refused_resumes"`
	InvalidSessions int        `json:"invalid_sessions"` // op 9 sent
	Reconnects      int        `json:"reconnects"`       // op 7 sent
	Heartbeats      Heartbeats `json:"heartbeats"`
	Events          int        `json:"events"`   // dispatch events sent, replayed ones included
	Replayed        int        `json:"replayed"` // events sent again after a RESUME
	Bytes           int64      `json:"bytes"`    // sent in messages, as compressed
	// Closed counts connections that the server closed, by code.
	Closed map[int]int `json:"closed"`
	// Left counts connections that the client closed, by code: 1005 is a close
	// frame without a code, 1006 none at all.
	Left map[int]int `json:"left"`
}

// ledger is guarded by Server.mu.
type ledger map[int]*ShardReport

func (l ledger) of(shard int) *ShardReport {
	report := l[shard]
	if report == nil {
		report = &ShardReport{Shard: shard, Closed: make(map[int]int), Left: make(map[int]int)}
		l[shard] = report
	}
	return report
}

// Shards returns what the server saw of each shard, by shard ID.
func (s *Server) Shards() []ShardReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]ShardReport, 0, len(s.ledger))
	for _, report := range s.ledger {
		one := *report
		one.Closed, one.Left = cloneCounts(report.Closed), cloneCounts(report.Left)
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b ShardReport) int { return cmp.Compare(a.Shard, b.Shard) })
	return list
}

func cloneCounts(counts map[int]int) map[int]int {
	clone := make(map[int]int, len(counts))
	for code, n := range counts {
		clone[code] = n
	}
	return clone
}

// saw notes something in the report of c's shard.
func (c *conn) saw(note func(*ShardReport)) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	note(c.s.ledger.of(c.shard))
}

// isShard notes which shard c is. What it did before goes to that shard's report.
func (c *conn) isShard(shard int) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.shard == unknownShard {
		from, to := c.s.ledger.of(unknownShard), c.s.ledger.of(shard)
		from.Connections--
		to.Connections++
		from.Heartbeats.add(c.beats, -1)
		to.Heartbeats.add(c.beats, 1)
		from.Bytes -= c.bytes
		to.Bytes += c.bytes
	}
	c.shard = shard
}

// beat notes a heartbeat that came at arrival.
func (c *conn) beat(arrival time.Time) {
	var one Heartbeats
	switch {
	case c.up:
		one.Ready = 1
	case c.sess != nil:
		one.Starting = 1
	case arrival.Sub(c.hello) < c.s.heartbeat:
		one.Early = 1
	default:
		one.Waiting = 1
	}
	if c.shard == unknownShard {
		c.beats.add(one, 1)
	}
	c.saw(func(r *ShardReport) { r.Heartbeats.add(one, 1) })
}
