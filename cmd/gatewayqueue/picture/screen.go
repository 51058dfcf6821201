// A whole screen: figures, a table, what there is room for below it, and the keys.

package picture

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
)

// Screen is all that a command shows at a moment.
type Screen struct {
	Title []Field
	Rows  []Row
	Table *Table // nil for none
	// Below draws what belongs under the table in so many lines at most, or
	// nothing where these are too few; nil for none.
	Below func(width, lines int) []string
	Notes []string // what has happened, the newest last; without styles
	// About says in the help what is shown, and what is good to know.
	About []Entry
}

// Entry is a line of help: a word or a key, and what it means.
type Entry struct{ Word, Text string }

// Sizes of the parts.
const (
	leastTable = 4  // lines of a table that has more, before rows of figures give way to it
	leastBelow = 5  // lines that are worth a timeline
	shared     = 16 // with so many lines a table that has more leaves some to the timeline
	someNotes  = 3  // lines that notes may have while a timeline wants them
)

// Draw draws a screen: lines of at most width columns, height of them at most.
// Height 0 is any height, and width 0 any width: so are files and pipes, which
// get neither bars nor keys. It returns the view as it is then: scrolled no
// further than there is something to see.
func Draw(s Screen, v View, width, height int) ([]string, View) {
	if height == 0 {
		return s.whole(v, width)
	}
	if v.Help && !v.Final {
		return s.help(v, width, height)
	}
	body := height
	if !v.Final {
		body-- // the keys
	}
	table := 0
	if s.Table != nil {
		table = 1 + max(1, len(s.Table.order(v)))
	}
	lines := s.head(width, body-min(table, leastTable))
	rest := max(0, body-len(lines))
	if s.Table != nil && rest > 0 {
		room := min(table, rest)
		if s.Below != nil && rest >= shared && table > rest*3/5 {
			room = max(min(table, rest-2*leastBelow), rest*3/5)
		}
		if rest > room { // what is left over is for a blank line first
			lines, rest = append(lines, ""), rest-1
		}
		var drawn []string
		drawn, v = s.Table.lines(v, width, room)
		lines, rest = append(lines, drawn...), rest-len(drawn)
	}
	notes := s.notes(width)
	if s.Below != nil && rest > leastBelow {
		room := rest - 1
		if len(notes) > 0 && room >= 2*leastBelow {
			room -= min(len(notes), someNotes) + 1
		}
		if below := s.Below(width, room); len(below) > 0 {
			lines, rest = append(append(lines, ""), below...), rest-1-len(below)
		}
	}
	if room := min(len(notes), rest-1); room > 0 {
		lines = append(append(lines, ""), notes[len(notes)-room:]...)
	}
	lines = lines[:min(len(lines), body)]
	if !v.Final {
		for len(lines) < body {
			lines = append(lines, "")
		}
		lines = append(lines, s.keys(v, width))
	}
	return lines, v
}

// head is the title and the rows, without those that there is no room for.
func (s Screen) head(width, room int) []string {
	label := labelWidth(s.Rows)
	bar := barWidth(s.Rows, label, width)
	title := titleLines(s.Title, width)
	parts, lines := make([][]string, len(s.Rows)), len(title)
	for i, r := range s.Rows {
		parts[i] = r.lines(label, bar, width)
		lines += len(parts[i])
	}
	for lines > room {
		out := -1
		for i, r := range s.Rows {
			if parts[i] != nil && r.Rank > 0 && (out < 0 || r.Rank >= s.Rows[out].Rank) {
				out = i
			}
		}
		if out < 0 {
			break
		}
		lines -= len(parts[out])
		parts[out] = nil
	}
	for _, part := range parts {
		title = append(title, part...)
	}
	return title
}

// titleLines is what runs, in one line; only what has rank 0 may go on in more.
func titleLines(fields []Field, width int) []string {
	if len(fields) == 0 {
		return nil
	}
	fitted, _ := Row{Fields: fields}.fitted(width, 1)
	if text := joined(fitted); width == 0 || ansi.StringWidth(text) < width {
		return []string{" " + text}
	}
	return hang(fitted, " ", " ", width-1)
}

// whole is all there is, for what has no height.
func (s Screen) whole(v View, width int) ([]string, View) {
	lines := titleLines(s.Title, width)
	label := labelWidth(s.Rows)
	bar := barWidth(s.Rows, label, width)
	for _, r := range s.Rows {
		lines = append(lines, r.lines(label, bar, width)...)
	}
	if s.Table != nil {
		var drawn []string
		drawn, v = s.Table.lines(v, width, 0)
		lines = append(append(lines, ""), drawn...)
	}
	return lines, v
}

func (s Screen) notes(width int) []string {
	var lines []string
	for _, note := range s.Notes[max(0, len(s.Notes)-20):] {
		for i, line := range wrap(printable.Text(note), width-2) {
			if i > 0 {
				line = " " + line
			}
			lines = append(lines, " "+Dim.Render(line))
		}
	}
	return lines
}

// keys is the last line: what can be typed.
func (s Screen) keys(v View, width int) string {
	key := func(name, text string, rank int) Field {
		return Field{Text: Bold.Render(name) + " " + text, Rank: rank}
	}
	var fields []Field
	switch {
	case v.Typing:
		return clip(" filter: "+turn.Render(v.Filter+" ")+"  "+Bold.Render("enter")+" keeps it  "+Bold.Render("esc")+" shows all", width)
	case v.Mute:
		fields = []Field{key("Ctrl-C", "ends it", 0)}
	case v.Help:
		fields = []Field{key("q", "quit", 0), key("?", "back", 0), key("↑↓", "scroll", 1)}
	default:
		pause := key("p", "pause", 4)
		if v.Paused {
			pause = Field{turn.Render(" paused ") + " " + Bold.Render("p") + " goes on", Plain, 0, ""}
		}
		fields = []Field{key("q", "quit", 0), key("?", "help", 0), pause}
		if s.Table != nil {
			filter := key("/", "filter", 2)
			if v.Filter != "" {
				filter = Field{Bold.Render("/") + " " + turn.Render(v.Filter) + " " + Bold.Render("esc") + " shows all", Plain, 0, ""}
			}
			fields = append(fields, key("s", "sort: "+s.sortName(v), 1), filter, key("↑↓", "scroll", 3))
		}
	}
	text := ""
	fitted, _ := Row{Fields: fields}.fitted(width, 1)
	for i, f := range fitted {
		if i > 0 {
			text += "  "
		}
		text += f.Text
	}
	return clip(" "+text, width)
}

func (s Screen) sortName(v View) string {
	if s.Table == nil || v.Sort >= len(s.Table.Sorts) {
		return "-"
	}
	return s.Table.Sorts[v.Sort].Name
}

// help explains keys and picture.
func (s Screen) help(v View, width, height int) ([]string, View) {
	entries := []Entry{
		{"q", "quit; the last picture stays"},
		{"p", "pause: the picture stands still, what it shows goes on"},
	}
	if s.Table != nil {
		names := make([]string, len(s.Table.Sorts))
		for i, sort := range s.Table.Sorts {
			names[i] = sort.Name
		}
		entries = append(entries,
			Entry{"s S", "sort by " + strings.Join(names, ", ")},
			Entry{"/", "filter: the number of a shard, or part of a name; esc shows all"},
			Entry{"↑ ↓ j k", "scroll by a line; PgUp PgDn by a page; g G to an end"})
	}
	entries = append(entries, Entry{"Ctrl-Z", "to the shell; fg comes back"}, Entry{})
	entries = append(entries, s.About...)
	word := 0
	for _, e := range entries {
		word = max(word, ansi.StringWidth(e.Word))
	}
	if width > 0 {
		word = min(word, width/3)
	}
	var text []string
	for _, e := range entries {
		for i, line := range wrap(e.Text, width-word-4) {
			if i > 0 {
				e.Word = ""
			}
			text = append(text, strings.TrimRight(clip(" "+Bold.Render(pad(e.Word, word))+"  "+line, width), " "))
		}
	}
	room := max(1, height-1)
	v.page = room
	v.helpTop = max(0, min(v.helpTop, len(text)-room))
	lines := append([]string{}, text[v.helpTop:min(len(text), v.helpTop+room)]...)
	for len(lines) < room {
		lines = append(lines, "")
	}
	keys := s.keys(v, width)
	if len(text) > room {
		more := Dim.Render(fmt.Sprintf("  %d to %d of %d", v.helpTop+1, v.helpTop+room, len(text)))
		if ansi.StringWidth(keys)+ansi.StringWidth(more) <= width {
			keys += more
		}
	}
	return append(lines, keys), v
}
