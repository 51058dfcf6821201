// A table that is drawn to the width: columns give way, rows scroll.

package picture

import (
	"fmt"
	"slices"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// Table is rows of cells, one line each.
type Table struct {
	Columns []Column
	Len     int    // rows
	Thing   string // what a row is, such as bucket
	// Sorts are the orders to choose from; the first is how rows are numbered.
	Sorts []Sort
	// Match says whether a row is one that the user looks for.
	Match func(row int, text string) bool
	// Sum says in few words what some rows come to; nil for nothing.
	Sum func(rows []int) string
}

// Sort is an order of rows.
type Sort struct {
	Name    string
	Compare func(a, b int) int
}

// Column is one column of a table.
type Column struct {
	Name  string
	Brief string // its name where there is no room for Name; empty for the same
	Rank  int    // 0 is always there; of the others the highest is left out first
	Right bool
	// Least is how narrow it may be made; 0 is as wide as its cells.
	Least int
	// Want is how wide it is to be before there is room for drawings; 0 is as its
	// cells, or wanted where these are wider.
	Want int
	// Share, where it is not 0, makes it a drawing: as wide as that part of the
	// terminal, and left out where that is not known. Most bounds it.
	Share, Most int
	// Cell is what stands in a row; a drawing fills width.
	Cell func(row, width int) string
}

const gap = 2 // columns between two

// wanted is enough for most cells.
const wanted = 24

// order are the rows to show, as the user wants them.
func (t *Table) order(v View) []int {
	var rows []int
	for row := range t.Len {
		if v.Filter == "" || t.Match == nil || t.Match(row, v.Filter) {
			rows = append(rows, row)
		}
	}
	if v.Sort > 0 && v.Sort < len(t.Sorts) {
		slices.SortStableFunc(rows, t.Sorts[v.Sort].Compare)
	}
	return rows
}

// measured is how many rows of a large table are measured: those of the rest are
// cut off if they are wider.
const measured = 256

// fit chooses columns, and says how wide each is.
func (t *Table) fit(width int) (columns []Column, widths []int) {
	var natural []int
	for _, c := range t.Columns {
		wide := ansi.StringWidth(c.Name)
		switch {
		case c.Share > 0 && width == 0:
			continue
		case c.Share > 0:
			wide = min(c.Most, max(c.Least, width/c.Share))
		default:
			wide = max(wide, c.Least)
			for row := range min(t.Len, measured) {
				wide = max(wide, ansi.StringWidth(c.Cell(row, 0)))
			}
		}
		columns, natural = append(columns, c), append(natural, wide)
	}
	least := func(i int) int {
		if l := columns[i].Least; l > 0 && width > 0 {
			return min(l, natural[i])
		}
		return natural[i]
	}
	need := func() int {
		sum := 1
		for i := range columns {
			sum += least(i) + gap
		}
		return sum - gap
	}
	if width > 0 {
		columns, natural = withoutDrawings(columns, natural, width)
	}
	for width > 0 && need() > width {
		out := -1
		for i, c := range columns {
			if c.Rank > 0 && (out < 0 || c.Rank >= columns[out].Rank) {
				out = i
			}
		}
		if out < 0 {
			break
		}
		columns, natural = slices.Delete(columns, out, out+1), slices.Delete(natural, out, out+1)
	}
	spare := width - need()
	for i := range columns {
		widths = append(widths, least(i))
	}
	for rank := 0; width > 0 && rank < 10; rank++ { // what matters is widened first
		for i, c := range columns {
			if more := min(spare, natural[i]-widths[i]); c.Rank == rank && more > 0 {
				widths[i], spare = widths[i]+more, spare-more
			}
		}
	}
	return columns, widths
}

// withoutDrawings leaves drawings out where texts would be cut off for them.
func withoutDrawings(columns []Column, natural []int, width int) ([]Column, []int) {
	sum := 1 - gap
	for i, c := range columns {
		switch {
		case c.Share > 0:
			sum += c.Least + gap
		case c.Want > 0:
			sum += c.Want + gap
		default:
			sum += min(natural[i], wanted) + gap
		}
	}
	if sum <= width {
		return columns, natural
	}
	var texts []Column
	var widths []int
	for i, c := range columns {
		if c.Share == 0 {
			texts, widths = append(texts, c), append(widths, natural[i])
		}
	}
	return texts, widths
}

// lines draws the header and the rows that there is room for; room 0 is all. It
// returns the view as it is then: scrolled no further than there are rows.
func (t *Table) lines(v View, width, room int) ([]string, View) {
	rows := t.order(v)
	columns, widths := t.fit(width)
	header := make([]string, len(columns))
	for i, c := range columns {
		if header[i] = c.Name; c.Brief != "" && ansi.StringWidth(c.Name) > widths[i] {
			header[i] = c.Brief
		}
	}
	lines := []string{Dim.Render(t.line(columns, widths, header, width))}
	shown := len(rows)
	if room > 0 && shown+1 > room { // one line is the header, one says what is not shown
		shown = max(1, room-2)
	}
	v.page = shown
	v.Top = max(0, min(v.Top, len(rows)-shown))
	for _, row := range rows[v.Top : v.Top+shown] {
		cells := make([]string, len(columns))
		for i, c := range columns {
			cells[i] = c.Cell(row, widths[i])
		}
		lines = append(lines, t.line(columns, widths, cells, width))
	}
	switch {
	case len(rows) == 0 && v.Filter != "":
		none := fmt.Sprintf(" no %s matches %q", t.Thing, v.Filter)
		if room > 0 { // else there are no keys
			none += ": esc shows all"
		}
		lines = append(lines, clip(none, width))
	case shown < len(rows) && (room == 0 || len(lines) < room):
		lines = append(lines, Dim.Render(clip(t.position(v.Top, shown, rows, width), width)))
	}
	return lines, v
}

// position says which rows are shown, and what all of them come to.
func (t *Table) position(top, shown int, rows []int, width int) string {
	text := fmt.Sprintf(" %ss %d to %d of %d", t.Thing, top+1, top+shown, len(rows))
	if t.Sum != nil {
		if more := text + ": " + t.Sum(rows); ansi.StringWidth(more) <= width {
			return more
		}
	}
	return text
}

func (*Table) line(columns []Column, widths []int, cells []string, width int) string {
	var line strings.Builder
	line.WriteString(" ")
	for i, c := range columns {
		if i > 0 {
			line.WriteString(strings.Repeat(" ", gap))
		}
		cell := clip(cells[i], widths[i])
		switch {
		case c.Right:
			cell = padLeft(cell, widths[i])
		case i < len(columns)-1:
			cell = pad(cell, widths[i])
		}
		line.WriteString(cell)
	}
	return clip(strings.TrimRight(line.String(), " "), width)
}
