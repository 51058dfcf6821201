// Package lua embeds the scripts that decide everything in Redis. Each script
// is one decision and runs on Redis 6.0 and later. Its head names its keys,
// arguments and replies, in their order, for everybody: a script is sent to Redis
// with a local of that name for each (slot_key, ticket), Go calls it by these
// names, and so do its tests.
//
// What several scripts share is in lib, where keys have the names that every head
// gives them. It stands in a script where that says "-- include lib/NAME.lua": at
// the top, or in the branch that alone needs it, since Redis makes a function
// whenever it comes to it.
package lua

import (
	"fmt"
	"slices"
	"time"
)

// The scripts.
var (
	Claim      = load("claim")
	Identified = load("identified")
	Renew      = load("renew")
	Abandon    = load("abandon")
	Beat       = load("beat")
	Sync       = load("sync")
	Status     = load("status")
	Ready      = load("ready")
	Postpone   = load("postpone")
	Remember   = load("remember")
	Sight      = load("sight")
	Record     = load("record")
	History    = load("history")
	Pause      = load("pause")
	Audit      = load("audit")
)

// RenewMany is many calls of Renew in one: a pod that holds many permits does not
// send one for each.
var RenewMany = &Script{Name: "renew many", Source: many(Renew.Source)}

// Script is a script, with what its head says.
type Script struct {
	Name   string
	Source string // as it is sent to Redis
	Keys   []string
	Args   []Arg
	Reply  []string

	// What follows for each of several things: buckets, tickets.
	EachKey, EachArg, EachReply []string

	problems []string // why the head cannot be read
}

// Arg is an argument. A script has one of a Kind as a number or a boolean.
type Arg struct {
	Name string
	Kind string // "ms" for a time, "n" for a number, both with "?" if it may be "", which is nil; "flag"; "" for a text
}

// Values are arguments by their names.
type Values map[string]any

// Order returns a script's arguments in their order, with those for each of
// several things behind them. It panics if an argument has no value, or a value
// no argument.
func (s *Script) Order(values Values, each ...any) []any {
	args := make([]any, 0, len(s.Args)+len(each))
	for _, a := range s.Args {
		v, ok := values[a.Name]
		if !ok {
			panic(fmt.Sprintf("lua: %s is called without %s", s.Name, a.Name))
		}
		args = append(args, encode(v))
	}
	if len(values) > len(s.Args) { // all of its own are there
		for name := range values {
			if !slices.ContainsFunc(s.Args, func(a Arg) bool { return a.Name == name }) {
				panic(fmt.Sprintf("lua: %s has no argument %s", s.Name, name))
			}
		}
	}
	return append(args, each...)
}

func encode(v any) any {
	switch v := v.(type) {
	case time.Duration:
		return Milliseconds(v)
	case bool:
		if v {
			return 1
		}
		return 0
	}
	return v
}

// Milliseconds rounds up: a bucket may be closed for longer than asked for, and
// never for less.
func Milliseconds(d time.Duration) int64 { return (d + time.Millisecond - 1).Milliseconds() }

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
