package suite

// What a suite has to show.

import (
	"fmt"
	"strings"

	"github.com/gatewayqueue/gatewayqueue/bench/report"
)

// Section is a part of the report.
type Section struct {
	Title  string
	Text   string // what it is about, in Markdown
	Tables []report.Table
	Images []Image
	Notes  string // after the tables
}

// Image is a picture of the report, an SVG file beside it.
type Image struct{ File, Text string }

// Markdown is the sections as a document, with headings of that level.
func Markdown(sections []Section, level int) string {
	var b strings.Builder
	for _, s := range sections {
		fmt.Fprintf(&b, "%s %s\n\n", strings.Repeat("#", level), s.Title)
		if s.Text != "" {
			b.WriteString(s.Text + "\n\n")
		}
		for _, t := range s.Tables {
			b.WriteString(t.String() + "\n")
		}
		for _, i := range s.Images {
			fmt.Fprintf(&b, "![%s](%s)\n\n", i.Text, i.File)
		}
		if s.Notes != "" {
			b.WriteString(s.Notes + "\n\n")
		}
	}
	return b.String()
}

// Replace puts a section into a report in place of the one of the same title, or
// before the last two if no section has that title.
func Replace(text string, section Section) string {
	const heading = "\n## "
	with := Markdown([]Section{section}, 2)
	begin := strings.Index(text, heading+section.Title+"\n")
	if begin < 0 {
		begin = strings.LastIndex(text[:strings.LastIndex(text, heading)], heading)
		return text[:begin+1] + with + text[begin+1:]
	}
	next := strings.Index(text[begin+1:], heading)
	if next < 0 { // it is the last
		return text[:begin+1] + strings.TrimSpace(with) + "\n"
	}
	return text[:begin+1] + with + text[begin+1+next+1:]
}
