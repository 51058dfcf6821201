// What is told of each shard, whatever library its bot is written with.

package gatewayproxy

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// State is what a shard has come to.
type State = gatewayqueue.ShardState

// The states of a shard.
const (
	StateHeld        = gatewayqueue.ShardHeld
	StateIdentifying = gatewayqueue.ShardIdentifying
	StateResuming    = gatewayqueue.ShardResuming
	StateReady       = gatewayqueue.ShardReady
	StateRefused     = gatewayqueue.ShardRefused
	StateGone        = gatewayqueue.ShardGone
)

// Shard is what the proxy has seen of one shard. Times are zero, and durations 0,
// where there was none yet.
type Shard struct {
	App     string    `json:"app"`
	ID      int       `json:"shard"`
	Count   int       `json:"shards,omitempty"` // of the bot, as IDENTIFY says; 0 where only RESUME was seen
	State   State     `json:"state"`
	Since   time.Time `json:"since"`               // of the state
	Held    time.Time `json:"held_since,omitzero"` // since when IDENTIFY is held
	Waited  float64   `json:"held_s,omitempty"`    // how long the last IDENTIFY was held
	Ready   float64   `json:"ready_s,omitempty"`   // from the bot's connection to its last READY
	Remote  string    `json:"remote"`              // the bot's address
	Gateway string    `json:"gateway,omitempty"`   // Discord's host

	Identifies int `json:"identifies"`
	Resumes    int `json:"resumes"`
	Refused    int `json:"invalid_sessions"` // op 9
	Reconnects int `json:"reconnects"`       // op 7

	LastClose   int       `json:"last_close,omitempty"` // code; 0 where there was none, or no close frame
	LastCloseBy Closer    `json:"last_close_by,omitempty"`
	LastCloseAt time.Time `json:"last_close_at,omitzero"`

	// Heartbeat is how long Discord took to answer the last heartbeat, in seconds. It
	// is not known of a compressed connection that is ready, which is not read.
	Heartbeat float64 `json:"heartbeat_s,omitempty"`

	BytesToBot     int64 `json:"bytes_to_bot"` // of this connection
	BytesToDiscord int64 `json:"bytes_to_discord"`
}
