package gatewayqueue

import "time"

// Sight is what a proxy has seen of one shard, as it tells the fleet.
type Sight struct {
	State string    `json:"state"`         // such as "ready" or "held"
	Since time.Time `json:"since"`         // of the state
	Told  time.Time `json:"told"`          // when the proxy said so, by its clock; it repeats what stays within a minute
	By    string    `json:"by,omitempty"`  // the proxy
	Bot   string    `json:"bot,omitempty"` // the bot's address, as the proxy has it

	Identifies int           `json:"identifies,omitempty"`
	Resumes    int           `json:"resumes,omitempty"`
	Invalid    int           `json:"invalid,omitempty"`      // sessions that were refused (op 9)
	LastClose  int           `json:"last_close,omitempty"`   // the code that its connection was closed with
	Heartbeat  time.Duration `json:"heartbeat_ns,omitempty"` // how long the last one took; 0 where that is not known
}

// SightNews is what a proxy tells at once.
type SightNews struct {
	Shards     map[int]Sight // that have changed
	Refused    int           // sessions that Discord has refused since it told last
	Identified int           // identifies that have left since then
	Many       int           // so many refused sessions in a minute, of the whole fleet, are a storm; 1 or more
}

// Storm is how many sessions Discord refuses. Since is zero where there is no storm.
type Storm struct {
	Refused    int           `json:"refused"`    // sessions in the last minute, of the fleet
	Identified int           `json:"identified"` // identifies in the last minute, through proxies
	Since      time.Time     `json:"since,omitzero"`
	Lasts      time.Duration `json:"lasts_ns,omitempty"` // since then, by the store's clock
}
