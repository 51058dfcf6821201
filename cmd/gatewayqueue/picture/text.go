// Bars, colours, padding, and how times are written.

package picture

import (
	"fmt"
	"io"
	"strings"
	"time"

	"charm.land/bubbles/v2/progress"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// The terminal's own sixteen colours, so that they fit its theme. Nothing is
// told by colour alone: NO_COLOR loses no information.
var (
	Bold = lipgloss.NewStyle().Bold(true)
	dim  = lipgloss.NewStyle().Faint(true)
	open = lipgloss.NewStyle().Foreground(lipgloss.Green)
	shut = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	held = lipgloss.NewStyle().Foreground(lipgloss.Cyan)
	warn = lipgloss.NewStyle().Foreground(lipgloss.Red)
)

// Dim styles what is of little interest.
func Dim(s string) string { return dim.Render(s) }

// Good styles what is as it should be.
func Good(s string) string { return open.Render(s) }

// Bad styles what is not.
func Bad(s string) string { return warn.Render(s) }

const labelColumn = 7

// Row is a line that begins with a label.
func Row(label, text string, width int) string {
	return clip(" "+dim.Render(padLeft(label, labelColumn))+"  "+text, width)
}

// Bar is a bar of a third of the width, full at 1.
func Bar(full float64, width int) string {
	return gauge(full, min(40, max(8, width/3)))
}

func gauge(full float64, width int) string {
	return progress.New(
		progress.WithWidth(width), progress.WithoutPercentage(),
		progress.WithFillCharacters('█', '░'), progress.WithColors(lipgloss.Blue),
	).ViewAs(full)
}

func clip(s string, width int) string { return ansi.Truncate(s, width, "…") }

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-lipgloss.Width(s)))
}

func padLeft(s string, width int) string {
	return strings.Repeat(" ", max(0, width-lipgloss.Width(s))) + s
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

// Fprintln prints styled text, with the colours that out can show: none where
// it is no terminal, or NO_COLOR is set.
func Fprintln(out io.Writer, text string) (int, error) { return lipgloss.Fprintln(out, text) }
