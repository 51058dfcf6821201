// A script's head: the names of its keys, arguments and replies.

package lua

import (
	"fmt"
	"regexp"
	"strings"
)

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
