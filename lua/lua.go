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

// RenewMany is many calls of Renew in one: a pod that holds many permits does not
// send one for each.
var RenewMany = many(Renew)

// many makes a script that runs another one a number of times, each on keys and
// arguments of its own. The first argument is that number; then come, for each,
// how many keys and how many arguments are its own; then the arguments of all.
// The reply is the list of theirs. What one has done stays done if a later one
// fails.
func many(script string) string {
	return "local function once(KEYS, ARGV)\n" + script + `
end
local replies, key, arg = {}, 0, 1 + 2 * ARGV[1]
for i = 1, tonumber(ARGV[1]) do
  local keys, args = {}, {}
  for k = 1, tonumber(ARGV[2 * i]) do keys[k], key = KEYS[key + 1], key + 1 end
  for a = 1, tonumber(ARGV[2 * i + 1]) do args[a], arg = ARGV[arg + 1], arg + 1 end
  replies[i] = once(keys, args)
end
return replies
`
}
