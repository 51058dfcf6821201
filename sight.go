package gatewayqueue

import "time"

// ShardState is what a shard has come to, as a proxy sees it.
type ShardState string

// The states of a shard.
const (
	ShardHeld        ShardState = "held"        // its IDENTIFY waits for its turn
	ShardIdentifying ShardState = "identifying" // IDENTIFY has left, READY has not come
	ShardResuming    ShardState = "resuming"    // RESUME has left, RESUMED has not come
	ShardReady       ShardState = "ready"       // it has a session
	ShardRefused     ShardState = "refused"     // Discord has called its session invalid
	ShardGone        ShardState = "gone"        // its connection has ended
)

// Sight is what a proxy has seen of one shard, as it tells the fleet.
type Sight struct {
	State ShardState `json:"state"`
	Since time.Time  `json:"since"`         // of the state
	Told  time.Time  `json:"told"`          // when the proxy said so, by its clock; it repeats what stays within a minute
	By    string     `json:"by,omitempty"`  // the proxy
	Bot   string     `json:"bot,omitempty"` // the bot's address, as the proxy has it

	Identifies int           `json:"identifies,omitempty"`
	Resumes    int           `json:"resumes,omitempty"`
	Invalid    int           `json:"invalid,omitempty"`      // sessions that were refused (op 9)
	LastClose  int           `json:"last_close,omitempty"`   // the code that its connection was closed with
	Heartbeat  time.Duration `json:"heartbeat_ns,omitempty"` // how long the last one took; 0 where that is not known
}

// Standing is what a [Sight] comes to, in a word.
type Standing string

// What shards come to.
const (
	StandingUp     Standing = "up"     // it has a session, and is connected
	StandingComing Standing = "coming" // it waits for its turn, or for READY or RESUMED
	StandingDown   Standing = "down"   // its connection has ended, or Discord has refused its session
	StandingSilent Standing = "silent" // its proxy tells no more
)

// SightLasts is how old what a proxy has told may be: it repeats what stays within a
// minute.
const SightLasts = 2 * time.Minute

// Standing is what the sight comes to at a moment of a clock that is not far from the
// proxy's.
func (s Sight) Standing(now time.Time) Standing {
	switch s.State {
	case ShardGone, ShardRefused: // of one that is gone a proxy tells once
		return StandingDown
	}
	switch {
	case now.Sub(s.Told) > SightLasts:
		return StandingSilent
	case s.State == ShardReady:
		return StandingUp
	}
	return StandingComing
}

// SightNews is what a proxy tells at once.
type SightNews struct {
	Shards     map[int]Sight // that have changed
	Refused    int           // sessions that Discord has refused since it told last
	Identified int           // identifies that have left since then
	Many       int           // so many refused sessions in a minute, of the whole fleet, are a storm; 1 or more
}

// StormLasts is for how long after the last refused session a storm goes on.
const StormLasts = 2 * time.Minute

// Storm is how many sessions Discord refuses. Since is zero where there is no storm.
type Storm struct {
	Refused    int           `json:"refused"`    // sessions in the last minute, of the fleet
	Identified int           `json:"identified"` // identifies in the last minute, through proxies
	Since      time.Time     `json:"since,omitzero"`
	Lasts      time.Duration `json:"lasts_ns,omitempty"` // since then, by the store's clock
}
