// Package lua embeds the scripts that decide everything in Redis. Each script
// is one decision, runs on Redis 6.0 and later, and opens with its keys,
// arguments and replies.
package lua

import (
	_ "embed" // for the scripts
	"strings"
)

// The scripts, as they are sent to Redis.
var (
	//go:embed claim.lua
	Claim string
	//go:embed identified.lua
	Identified string
	//go:embed renew.lua
	Renew string
	//go:embed abandon.lua
	Abandon string
	//go:embed beat.lua
	Beat string
	//go:embed sync.lua
	Sync string
	//go:embed status.lua
	Status string
	//go:embed ready.lua
	Ready string
	//go:embed postpone.lua
	Postpone string
	//go:embed remember.lua
	Remember string
)

//go:embed lib/server.lua
var server string

func init() {
	for _, script := range []*string{&Claim, &Sync} {
		*script = strings.Replace(*script, "-- include lib/server.lua\n", server, 1)
	}
}
