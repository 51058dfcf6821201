// Loading a script: what it includes, and which of that it uses.

package lua

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed *.lua lib/*.lua
var files embed.FS

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
	s.Source = head + "\n\n" + s.locals() + withoutUnused(s.withIncluded(body))
	return s
}

// withIncluded puts the files of lib in the place of the lines that ask for them.
func (s *Script) withIncluded(body string) string {
	var b strings.Builder
	for line := range strings.SplitAfterSeq(body, "\n") {
		name, is := strings.CutPrefix(strings.TrimLeft(line, " "), "-- include ")
		if is {
			line = s.read(strings.TrimSuffix(name, "\n"))
		}
		b.WriteString(line)
	}
	return b.String()
}

// withoutUnused leaves out the functions of lib that a script does not use. Redis
// would make each of them at every call, and ten cost as much as a short command.
// Each program that imports this package does it as it starts, so without regular
// expressions: with them it took some fifty times as long, and seconds with the race
// detector.
func withoutUnused(body string) string {
	lines, uses := strings.SplitAfter(body, "\n"), make(map[string]int)
	countWords(lines, uses, 1)
	for {
		kept := make([]string, 0, len(lines))
		for i := 0; i < len(lines); {
			end := i + 1
			if name := functionName(lines[i]); name != "" {
				end = functionEnd(lines, i)
				if uses[name] < 2 {
					countWords(lines[i:end], uses, -1)
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

// countWords adds to counts what each word of Lua in the lines counts for.
func countWords(lines []string, counts map[string]int, each int) {
	isWord := func(c byte) bool {
		return c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
	}
	for _, line := range lines {
		text := code(line)
		for i := 0; i < len(text); i++ {
			begin := i
			for i < len(text) && isWord(text[i]) {
				i++
			}
			if i > begin {
				counts[text[begin:i]] += each
			}
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
