// Colours, bars, widths, and how times are written.

package picture

import (
	"fmt"
	"io"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
)

// Styles of text, in the terminal's own sixteen colours, so that they fit its
// theme, light or dark: none is yellow or white. Nothing is told by colour alone:
// NO_COLOR loses no information.
var (
	Plain = lipgloss.NewStyle()
	Bold  = lipgloss.NewStyle().Bold(true)
	Dim   = lipgloss.NewStyle().Faint(true)                // of little interest
	Good  = lipgloss.NewStyle().Foreground(lipgloss.Green) // normal
	Bad   = lipgloss.NewStyle().Foreground(lipgloss.Red)
	held  = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
	blue  = lipgloss.NewStyle().Foreground(lipgloss.Blue)
	turn  = lipgloss.NewStyle().Reverse(true) // what is typed
)

// gauge is a bar that is full at 1. What is not quite empty shows something.
func gauge(full float64, width int, style lipgloss.Style) string {
	full = min(1, max(0, full))
	n := int(full*float64(width) + 0.5)
	if n == 0 && full > 0 {
		n = 1
	}
	return style.Render(strings.Repeat("█", n)) + Dim.Render(strings.Repeat("░", width-n))
}

// clip cuts off what is wider than the width; 0 is any width.
func clip(s string, width int) string {
	if width == 0 {
		return s
	}
	return ansi.Truncate(s, width, "…")
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-ansi.StringWidth(s)))
}

func padLeft(s string, width int) string {
	return strings.Repeat(" ", max(0, width-ansi.StringWidth(s))) + s
}

// wrap breaks a text without styles between words, and words that are wider than
// the width anywhere.
func wrap(text string, width int) []string {
	if width == 0 {
		return []string{text}
	}
	return strings.Split(ansi.Wrap(text, max(1, width), " "), "\n")
}

// Count is a number of things, such as 2 pods.
func Count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// Seconds writes a duration for people: two units, or tenths of a second below
// a minute.
func Seconds(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute-50*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour-time.Second/2:
		d = d.Round(time.Second)
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	default:
		d = d.Round(time.Minute)
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
}

// Names are the first of many names, and how many more there are.
func Names(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// Fprintln prints styled text, with the colours that out can show: none where
// it is no terminal, or NO_COLOR is set.
func Fprintln(out io.Writer, text string) (int, error) {
	return lipgloss.Fprintln(out, printable.Styled(text))
}

// Wrapped breaks a text between words, to the width of a terminal. Elsewhere its
// lines stay as they are.
func Wrapped(text string, out io.Writer) string {
	if width, _ := Size(out); width > 0 {
		return ansi.Wrap(text, width, " ")
	}
	return text
}

// Height is how many lines a text takes there.
func Height(text string, out io.Writer) int { return strings.Count(Wrapped(text, out), "\n") }
