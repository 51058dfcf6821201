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
	"embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
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
	for name := range values {
		if !slices.ContainsFunc(s.Args, func(a Arg) bool { return a.Name == name }) {
			panic(fmt.Sprintf("lua: %s has no argument %s", s.Name, name))
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

//go:embed *.lua lib/*.lua
var files embed.FS

var include = regexp.MustCompile(`(?m)^ *-- include (lib/\w+\.lua)\n`)

// load reads a script, puts in what it includes, and the names that its head
// gives.
func load(name string) *Script {
	s := &Script{Name: name}
	text := s.read(name + ".lua")
	head, body, found := strings.Cut(text, "\n\n")
	if !found {
		s.problem("there is no head: comments, and then an empty line")
	}
	s.parse(head)
	body = include.ReplaceAllStringFunc(body, func(line string) string { return s.read(include.FindStringSubmatch(line)[1]) })
	s.Source = head + "\n\n" + s.locals() + withoutUnused(body)
	return s
}

// withoutUnused leaves out the functions of lib that a script does not use. Redis
// would make each of them at every call, and ten cost as much as a short command.
// Each program that imports this package does it as it starts, so without regular
// expressions: with them it took some fifty times as long, and seconds with the race
// detector.
func withoutUnused(body string) string {
	lines := strings.SplitAfter(body, "\n")
	for {
		uses := make(map[string]int)
		for _, line := range lines {
			countWords(code(line), uses)
		}
		kept := make([]string, 0, len(lines))
		for i := 0; i < len(lines); {
			end := i + 1
			if name := functionName(lines[i]); name != "" {
				end = functionEnd(lines, i)
				if uses[name] < 2 {
					i = end
					continue
				}
			}
			kept = append(kept, lines[i:end]...)
			i = end
		}
		if len(kept) == len(lines) {
			return strings.Join(kept, "")
		}
		lines = kept
	}
}

// functionName is the name of the function that begins in a line of lib, or "".
func functionName(line string) string {
	rest, is := strings.CutPrefix(line, "local function ")
	name, _, open := strings.Cut(rest, "(")
	if !is || !open {
		return ""
	}
	return name
}

// functionEnd is the line behind a function: what is indented belongs to it, and its
// end.
func functionEnd(lines []string, begin int) int {
	end := begin + 1
	for end < len(lines) && strings.HasPrefix(lines[end], "  ") {
		end++
	}
	if end < len(lines) && lines[end] == "end\n" {
		end++
	}
	return end
}

// code is a line without its comment.
func code(line string) string {
	if strings.HasPrefix(line, "--") {
		return ""
	}
	before, _, _ := strings.Cut(line, " --")
	return before
}

// countWords adds the words of Lua in text to counts.
func countWords(text string, counts map[string]int) {
	isWord := func(c byte) bool {
		return c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
	}
	for i := 0; i < len(text); i++ {
		begin := i
		for i < len(text) && isWord(text[i]) {
			i++
		}
		if i > begin {
			counts[text[begin:i]]++
		}
	}
}

func (s *Script) problem(format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf(format, args...))
}

func (s *Script) read(name string) string {
	text, err := files.ReadFile(name)
	if err != nil {
		s.problem("%v", err)
	}
	return string(text)
}

var (
	section = regexp.MustCompile(`(?m)^-- (KEYS|Reply|ARGV)(.*)$`)
	list    = regexp.MustCompile(`^  ((?:\w+ )*\w+)?(?:; each ((?:\w+ )*\w+))?(?:  .*)?$`)
	arg     = regexp.MustCompile(`^--   (\w+)(?: \(((?:ms|n)\??|flag)\))?(?:  .*)?$`)
	eachArg = regexp.MustCompile(`^--   each ((?:\w+ )*\w+)(?:  .*)?$`)
)

// parse reads a head. It has lines such as
//
//	-- KEYS  limits pods; each slot queue   of every bucket
//	-- ARGV
//	--   ticket
//	--   pod_lease (ms)   for how long the pod is taken to live
//	--   each arrival ticket   of every other one of the pod
//	-- Reply  code now wait
func (s *Script) parse(head string) {
	seen := make(map[string]bool)
	for _, m := range section.FindAllStringSubmatchIndex(head, -1) {
		kind, rest := head[m[2]:m[3]], head[m[4]:m[5]]
		if seen[kind] {
			s.problem("the head has %s twice", kind)
		}
		seen[kind] = true
		if kind == "ARGV" {
			s.parseArgs(strings.Split(head[m[1]:], "\n")[1:])
			continue
		}
		words := list.FindStringSubmatch(rest)
		if words == nil {
			s.problem("the head's %s is no list of names: %q", kind, rest)
			continue
		}
		names, each := strings.Fields(words[1]), strings.Fields(words[2])
		if kind == "KEYS" {
			s.Keys, s.EachKey = names, each
		} else {
			s.Reply, s.EachReply = names, each
		}
	}
	for _, kind := range []string{"KEYS", "ARGV", "Reply"} {
		if !seen[kind] {
			s.problem("the head has no line \"-- %s\"", kind)
		}
	}
}

func (s *Script) parseArgs(lines []string) {
	for _, line := range lines {
		switch {
		case eachArg.MatchString(line):
			s.EachArg = strings.Fields(eachArg.FindStringSubmatch(line)[1])
		case arg.MatchString(line):
			m := arg.FindStringSubmatch(line)
			if s.EachArg != nil {
				s.problem("%s stands behind what is there for each", m[1])
			}
			s.Args = append(s.Args, Arg{Name: m[1], Kind: m[2]})
		case !strings.HasPrefix(line, "--   "):
			return
		case !strings.HasPrefix(line, "--    "): // else it goes on with the line before
			s.problem("this line of the head gives no argument a name: %q", line)
		}
	}
}

// locals is the Lua that gives keys and arguments their names. each_key and
// each_arg are where those for each of several things begin.
func (s *Script) locals() string {
	var b strings.Builder
	declare := func(name, format string, i int) {
		fmt.Fprintf(&b, "local %s = "+format+"\n", name, i)
	}
	for i, name := range s.Keys {
		declare(name+"_key", "KEYS[%d]", i+1)
	}
	if len(s.EachKey) > 0 {
		declare("each_key", "%d", len(s.Keys)+1)
	}
	formats := map[string]string{
		"": "ARGV[%d]", "ms": "ARGV[%d] + 0", "n": "ARGV[%d] + 0", "ms?": "tonumber(ARGV[%d])", "n?": "tonumber(ARGV[%d])", "flag": "ARGV[%d] == '1'",
	}
	for i, a := range s.Args {
		declare(a.Name, formats[a.Kind], i+1)
	}
	if len(s.EachArg) > 0 {
		declare("each_arg", "%d", len(s.Args)+1)
	}
	return b.String()
}

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
