// What the proxy sees of each shard, across libraries.

package gatewayproxy

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/downstream"
)

// key names a shard.
type key struct {
	app string
	id  int
}

// sights are all shards that have been seen.
type sights struct {
	p  *Proxy
	mu sync.Mutex
	// shards are kept after their connection has ended: why it did is of interest.
	shards map[key]*shard
	// What the fleet has not been told yet, by application.
	refused, identified map[string]int
	// sessions are whose each session is, by a hash of its ID: not all libraries resume
	// where READY has told them, where the path names the shard.
	sessions map[sessionHash]key
}

// sessionHash is of a session's ID, which is as good as a secret.
type sessionHash [sha256.Size]byte

// shard is one, and the connection that has it now.
type shard struct {
	Shard
	owner   *sight
	session sessionHash // of the last READY
	version int         // of what others are told; a heartbeat does not count
}

// mostShards bounds what is remembered of shards that are gone.
const mostShards = 16384

// sight is what one connection has seen. Its methods may be called from any
// goroutine.
type sight struct {
	all            *sights
	remote         string
	gateway        string
	resumed        int // the shard that the path names, or -1
	came           time.Time
	sent, received atomic.Int64 // bytes to Discord, and to the bot

	// Under sights' mu.
	of        *shard    // nil until IDENTIFY or RESUME says which
	appID     string    // of it
	began     time.Time // when IDENTIFY or RESUME left
	beat      time.Time // when a heartbeat left that is not answered
	wasClosed bool
}

func (s *sights) arrives(remote, gateway string, resumed int) *sight {
	return &sight{all: s, remote: remote, gateway: gateway, resumed: resumed, came: time.Now()}
}

// take makes the connection the one that has a shard.
func (c *sight) take(app string, id, count int) {
	k := key{app, id}
	s := c.all.shards[k]
	if s == nil {
		if len(c.all.shards) >= mostShards {
			c.all.forgetOne()
		}
		s = &shard{Shard: Shard{App: app, ID: id}}
		c.all.shards[k] = s
	}
	if c.of != s { // it was another one's
		c.change(func(before *shard) {
			before.Held, before.owner = time.Time{}, nil
			before.become(StateGone)
		})
	}
	c.of, c.appID = s, app
	s.owner, s.Remote, s.Gateway, s.Count = c, c.remote, c.gateway, max(count, s.Count)
}

// forgetOne makes room.
func (s *sights) forgetOne() {
	for k, one := range s.shards {
		if one.State == StateGone {
			delete(s.shards, k)
			delete(s.sessions, one.session)
			return
		}
	}
}

// has notes the session that a shard has.
func (s *sights) has(one *shard, session string) {
	delete(s.sessions, one.session)
	one.session = sessionHash{}
	if session != "" {
		one.session = sha256.Sum256([]byte(session))
		s.sessions[one.session] = key{one.App, one.ID}
	}
}

// change runs f on the shard, if this connection is the one that has it.
func (c *sight) change(f func(*shard)) {
	if c.of != nil && c.of.owner == c {
		f(c.of)
	}
}

func (s *shard) become(state State) {
	s.State, s.Since = state, time.Now()
	s.version++
}

// tell reports an event. The caller does not hold the lock.
func (c *sight) tell(e Event) {
	c.all.mu.Lock()
	e.App, e.Shard = c.appID, -1
	if c.of != nil {
		e.Shard = c.of.ID
	}
	c.all.mu.Unlock()
	c.all.p.observe(e)
}

func (c *sight) locked(f func()) {
	c.all.mu.Lock()
	defer c.all.mu.Unlock()
	f()
}

func (c *sight) app() (id string) {
	c.locked(func() { id = c.appID })
	return id
}

// shardID is the shard's, or -1.
func (c *sight) shardID() (id int) {
	c.locked(func() {
		if id = -1; c.of != nil {
			id = c.of.ID
		}
	})
	return id
}

func (c *sight) holds(app string, of [2]int) {
	c.locked(func() {
		c.take(app, of[0], of[1])
		c.of.become(StateHeld)
		c.of.Held = c.of.Since
	})
	c.tell(Event{Kind: EventHeld})
}

// unheld hears that the bot does not wait any more.
func (c *sight) unheld() {
	var waited time.Duration
	c.locked(func() {
		c.change(func(s *shard) {
			if s.State == StateHeld {
				waited = time.Since(s.Held)
				s.Held = time.Time{}
				s.become(StateGone)
			}
		})
	})
	c.tell(Event{Kind: EventLeft, Elapsed: waited})
}

// goes notes that IDENTIFY is about to leave.
func (c *sight) goes() { c.locked(func() { c.began, c.beat = time.Now(), time.Time{} }) }

// identifies notes that it has left. What Discord says to it may have come before.
func (c *sight) identifies() {
	var waited time.Duration
	c.locked(func() {
		c.all.identified[c.appID]++
		c.change(func(s *shard) {
			waited = c.began.Sub(s.Held)
			s.Waited, s.Held = waited.Seconds(), time.Time{}
			s.Identifies++
			if s.State == StateHeld {
				s.become(StateIdentifying)
			}
		})
	})
	c.all.p.count(func(s *Stats) { s.Identifies++ })
	c.tell(Event{Kind: EventIdentified, Elapsed: waited})
}

func (c *sight) resumes(app, session string) {
	c.locked(func() {
		c.appID, c.began = app, time.Now()
		if k, ok := c.all.sessions[sha256.Sum256([]byte(session))]; ok && k.app == app {
			c.resumed = k.id
		}
		if c.resumed >= 0 {
			c.take(app, c.resumed, 0)
			c.of.Resumes++
			c.of.become(StateResuming)
		}
	})
	c.all.p.count(func(s *Stats) { s.Resumes++ })
	c.tell(Event{Kind: EventResume})
}

func (c *sight) beats() { c.locked(func() { c.beat = time.Now() }) }

// sees notes what a message of Discord's says. was is what the connection had come to
// before.
func (c *sight) sees(seen downstream.Seen, was phase) {
	e := Event{}
	c.locked(func() {
		switch {
		case seen.Op == 11:
			if !c.beat.IsZero() {
				c.change(func(s *shard) { s.Heartbeat = time.Since(c.beat).Seconds() })
			}
			c.beat = time.Time{}
		case seen.Op == 7:
			c.change(func(s *shard) { s.Reconnects++ })
			e.Kind = EventReconnect
		case seen.Op == 9:
			c.change(func(s *shard) { s.Refused++; s.become(StateRefused) })
			e.Kind = EventInvalid
			c.all.refused[c.appID]++
			if was == resuming {
				e.Kind = EventRefused
			}
		case seen.Event == "READY":
			e = Event{Kind: EventReady, Elapsed: time.Since(c.began)}
			c.change(func(s *shard) {
				c.all.has(s, seen.Session)
				s.Ready = time.Since(c.came).Seconds()
				s.become(StateReady)
			})
		case seen.Event == "RESUMED":
			e = Event{Kind: EventResumed, Elapsed: time.Since(c.began)}
			c.change(func(s *shard) { s.become(StateReady) })
		}
	})
	if e.Kind != 0 {
		c.all.p.count(func(s *Stats) {
			switch e.Kind {
			case EventRefused:
				s.RefusedResumes++
			case EventInvalid:
				s.Invalid++
			case EventReady:
				s.Readies++
				if seen.Rewritten {
					s.Rewritten++
				} else {
					s.Unrewritten++
				}
			}
		})
		c.tell(e)
	}
}

// closed notes the first end of the connection that there is.
func (c *sight) closed(code int, by Closer) {
	first := false
	c.locked(func() {
		first, c.wasClosed = !c.wasClosed, true
		if first {
			c.change(func(s *shard) { s.LastClose, s.LastCloseBy, s.LastCloseAt = code, by, time.Now() })
		}
	})
	if first {
		c.tell(Event{Kind: EventClosed, Code: code, By: by})
	}
}

// leaves notes that the connection is over.
func (c *sight) leaves() {
	c.closed(0, byBot)
	c.locked(func() {
		c.change(func(s *shard) {
			s.BytesToBot, s.BytesToDiscord = c.received.Load(), c.sent.Load()
			s.Held = time.Time{}
			s.become(StateGone)
			s.owner = nil
		})
	})
}

// list is all shards in order, of one application or of all.
func (s *sights) list(app string) []Shard {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Shard
	for k, one := range s.shards {
		if app != "" && k.app != app {
			continue
		}
		copied := one.Shard
		if one.owner != nil {
			copied.BytesToBot, copied.BytesToDiscord = one.owner.received.Load(), one.owner.sent.Load()
		}
		list = append(list, copied)
	}
	slices.SortFunc(list, func(a, b Shard) int { return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.ID, b.ID)) })
	return list
}
