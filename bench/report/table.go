package report

// Tables: Markdown that also reads well on a terminal.

import (
	"strings"
	"unicode/utf8"
)

// Table is a table of texts.
type Table struct {
	Head []string
	Rows [][]string
}

// Of is the table of some figures, one row for each contestant. ours marks the
// names that are printed in bold.
func Of(rows []Row, ours func(name string) bool, figures ...Figure) Table {
	t := Table{Head: []string{"contestant"}}
	for _, f := range figures {
		t.Head = append(t.Head, f.Title)
	}
	for _, row := range rows {
		name := row.Name
		if ours(name) {
			name = "**" + name + "**"
		}
		line := []string{name}
		for _, f := range figures {
			line = append(line, f.Cell(row.Runs))
		}
		t.Rows = append(t.Rows, line)
	}
	return t
}

// String is the table in Markdown, with aligned columns.
func (t Table) String() string {
	width := make([]int, len(t.Head))
	all := append([][]string{t.Head}, t.Rows...)
	for _, row := range all {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	write := func(row []string, fill string) {
		for i := range t.Head {
			cell := ""
			if i < len(row) {
				cell = row[i]
			}
			b.WriteString("| " + cell + strings.Repeat(fill, width[i]-utf8.RuneCountInString(cell)) + " ")
		}
		b.WriteString("|\n")
	}
	write(t.Head, " ")
	write(make([]string, len(t.Head)), "-")
	for _, row := range t.Rows {
		write(row, " ")
	}
	return b.String()
}
