// A row of figures: a label, and what there is to say.

package picture

import (
	"slices"
	"strings"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// Field is a part of what a row says.
type Field struct {
	Text  string
	Style lipgloss.Style
	// Rank 0 is always shown: what is wider than the terminal goes on in the next
	// line. Of the others the highest is left out first.
	Rank int
	Glue string // what stands before it, in place of a comma and a blank
}

// Row is a label, and fields with commas between them.
type Row struct {
	Label  string
	Bar    *Bar // in front of the fields; nil for none
	Fields []Field
	// Rank 0 is always shown. Of the others the highest is left out first where
	// the terminal is too low.
	Rank int
}

// Bar is full at 1.
type Bar struct {
	Full  float64
	Style lipgloss.Style
}

// NewBar makes one that has no meaning in its colour.
func NewBar(full float64) *Bar { return &Bar{full, blue} }

const (
	leastLabel = 7  // columns of labels, so that those of most pictures stand alike
	leastBar   = 8  // a bar that is shorter tells nothing
	mostBar    = 40 // and a longer one nothing more
	barRank    = 1  // fields of a higher rank give way to it
	keyed      = 56 // with fewer columns long labels stand before their text, key: value
)

// labelWidth is how wide the labels of rows are.
func labelWidth(rows []Row) int {
	width := leastLabel
	for _, r := range rows {
		width = max(width, ansi.StringWidth(r.Label))
	}
	return width
}

// lines draws the row, with its label and its bar in so many columns; width 0 is any
// width, and has no bars.
func (r Row) lines(label, barWidth, width int) []string {
	if width > 0 && width < keyed && label > leastLabel+3 {
		return r.keyValue(width)
	}
	indent := 1 + label + 2
	fields, room := r.fitted(width, indent)
	bar := ""
	if room > 0 {
		bar = gauge(r.Bar.Full, min(room, barWidth), r.Bar.Style) + "  "
	}
	first := " " + Dim.Render(padLeft(r.Label, label)) + "  " + bar
	text := joined(fields)
	if width == 0 || ansi.StringWidth(text) <= width-indent-ansi.StringWidth(bar) {
		return []string{strings.TrimRight(first+text, " ")}
	}
	return hang(fields, first, strings.Repeat(" ", indent), max(8, width-indent))
}

// fitted are the fields that there is room for, and how wide the bar may be: 0 for
// none.
func (r Row) fitted(width, indent int) ([]Field, int) {
	fields, bar := slices.Clone(r.Fields), r.Bar
	if width == 0 {
		return fields, 0
	}
	room := width - indent
	for {
		need := ansi.StringWidth(joined(fields))
		if bar != nil {
			need += leastBar + 2
		}
		highest := 0
		for _, f := range fields {
			highest = max(highest, f.Rank)
		}
		switch {
		case need <= room, bar == nil && highest == 0:
			if bar == nil {
				return fields, 0
			}
			return fields, room - ansi.StringWidth(joined(fields)) - 2
		case bar != nil && highest <= barRank:
			bar = nil
		default:
			last := len(fields) - 1
			for fields[last].Rank != highest {
				last--
			}
			fields = slices.Delete(fields, last, last+1)
		}
	}
}

// barWidth is how wide the bars of rows are, all alike: a third of the width at most.
func barWidth(rows []Row, label, width int) int {
	wide := min(mostBar, max(leastBar, width/3))
	for _, r := range rows {
		if _, room := r.fitted(width, 1+label+2); room > 0 {
			wide = min(wide, room)
		}
	}
	return wide
}

func (r Row) keyValue(width int) []string {
	fields, _ := Row{Fields: r.Fields}.fitted(width, len(r.Label)+3)
	lines := hang(append([]Field{}, fields...), " "+Dim.Render(r.Label+":")+" ", "   ", width-3)
	if text := joined(fields); ansi.StringWidth(text)+ansi.StringWidth(r.Label)+3 <= width {
		return []string{" " + Dim.Render(r.Label+":") + " " + text}
	}
	return lines
}

// hang breaks fields between words; first begins the first line, rest the others.
func hang(fields []Field, first, rest string, room int) []string {
	lines, line, used := []string{}, first, max(0, ansi.StringWidth(first)-ansi.StringWidth(rest))
	for i, f := range fields {
		text := f.Text
		if i < len(fields)-1 {
			glue := fields[i+1].Glue
			if glue == "" {
				glue = ","
			}
			text += strings.TrimSpace(glue)
		}
		for _, word := range strings.Fields(text) {
			for _, piece := range wrap(word, room) {
				blank := used > 0 && !strings.HasSuffix(line, " ")
				need := ansi.StringWidth(piece)
				if blank {
					need++
				}
				if used+need > room {
					lines, line, used, blank = append(lines, strings.TrimRight(line, " ")), rest, 0, false
					need = ansi.StringWidth(piece)
				}
				if blank {
					line += " "
				}
				line += f.Style.Render(piece)
				used += need
			}
		}
	}
	return append(lines, line)
}

func joined(fields []Field) string {
	var text strings.Builder
	for i, f := range fields {
		if i > 0 {
			if f.Glue != "" {
				text.WriteString(f.Glue)
			} else {
				text.WriteString(Dim.Render(", "))
			}
		}
		text.WriteString(f.Style.Render(f.Text))
	}
	return text.String()
}
