// Package lua embeds the scripts that decide everything in Redis. Each script
// is one decision, runs on Redis 6.0 and later, and opens with its keys,
// arguments and replies. What several share is in lib; it stands in a script
// where that says "-- include lib/NAME.lua".
package lua

import (
	"embed"
	"regexp"
)

// The scripts, as they are sent to Redis.
var (
	Claim      = load("claim.lua")
	Identified = load("identified.lua")
	Renew      = load("renew.lua")
	Abandon    = load("abandon.lua")
	Beat       = load("beat.lua")
	Sync       = load("sync.lua")
	Status     = load("status.lua")
	Ready      = load("ready.lua")
	Postpone   = load("postpone.lua")
	Remember   = load("remember.lua")
)

//go:embed *.lua lib/*.lua
var files embed.FS

var include = regexp.MustCompile(`(?m)^-- include (lib/\w+\.lua)\n`)

// load reads a script and puts in what it includes.
func load(name string) string {
	text, err := files.ReadFile(name)
	if err != nil {
		panic(err) // a name that is not there: no build gets past the first test
	}
	return include.ReplaceAllStringFunc(string(text), func(line string) string {
		return load(include.FindStringSubmatch(line)[1])
	})
}
