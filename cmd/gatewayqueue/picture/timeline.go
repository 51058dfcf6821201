// The timeline of identifies, in text: a row per bucket where there is room, else a grid
// of dots.

package picture

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"
)

// Mark is one IDENTIFY, and until when it closes its bucket.
type Mark struct {
	Shard, Bucket int
	Pod           string
	At, Until     time.Duration
	Bad           bool // a violation
}

// Moment is a line through all buckets, with a word.
type Moment struct {
	At   time.Duration
	Text string
}

// Timeline is drawn from left to right. Times are since any moment.
type Timeline struct {
	Buckets  int
	Marks    []Mark // in order of time
	Pods     []string
	Moments  []Moment
	From, To time.Duration
	Now      time.Duration
	// Ago has the axis count back from Now.
	Ago bool
}

// glyphs and colours tell pods apart: first by both, then by one of them.
var (
	glyphs  = []rune("●■▲◆○□△◇")
	colours = []lipgloss.Style{
		blue, lipgloss.NewStyle().Foreground(lipgloss.Magenta), Good, held, Plain, lipgloss.NewStyle().Foreground(lipgloss.BrightBlack),
	}
)

const (
	bucketLabel = 6 // columns of a bucket's number
	dotRows     = 4 // rows of dots in one character of Braille
	dotColumns  = 2
)

// cell is one character of the timeline.
type cell struct {
	glyph rune
	style lipgloss.Style
}

// Draw draws in so many lines at most, or nothing if these are too few.
func (t Timeline) Draw(width, lines int) []string {
	columns := width - bucketLabel - 3
	if columns < 16 || t.To <= t.From || t.Buckets == 0 {
		return nil
	}
	var rows []string
	what := "a line behind it is its window"
	dots := false
	switch room := lines - 2; { // the axis and the legend
	case t.Buckets <= room:
		rows = t.bars(columns)
	case room >= 2:
		dots = true
		rows, what = t.dots(columns, min(room, (t.Buckets+dotRows-1)/dotRows))
	default:
		return nil
	}
	return append(append([]string{t.axis(columns)}, rows...), t.legend(width, what, dots))
}

// column is where a moment is; it may be outside.
func (t Timeline) column(at time.Duration, columns int) int {
	return int(float64(columns) * float64(at-t.From) / float64(t.To-t.From))
}

// bars has a row for each bucket: a glyph for each IDENTIFY, the shard's number
// where there is room, and a line for its window.
func (t Timeline) bars(columns int) []string {
	grid, now := make([][]cell, t.Buckets), t.column(t.Now, columns)
	for b := range grid {
		grid[b] = make([]cell, columns)
	}
	for _, m := range t.Marks {
		if m.Bucket < 0 || m.Bucket >= t.Buckets {
			continue
		}
		row, style := grid[m.Bucket], t.style(m)
		from, to := t.column(m.At, columns), t.column(m.Until, columns)
		for c := max(0, from); c < min(columns, max(to, from+1)); c++ {
			row[c] = cell{'─', style}
			if c > now { // to come
				row[c].glyph = '╌'
			}
		}
		number := strconv.Itoa(m.Shard)
		for i, r := range string(t.glyph(m)) + number {
			if i > 0 { // bytes: the first rune has three
				i -= len(string(t.glyph(m))) - 1
			}
			if c := from + i; c >= 0 && c < columns && (i == 0 || from+len(number) < max(to, from+2)) {
				row[c] = cell{r, style}
			}
		}
	}
	rows := make([]string, t.Buckets)
	for b := range grid {
		t.lines(grid[b])
		rows[b] = " " + padLeft(strconv.Itoa(b), bucketLabel) + "  " + text(grid[b])
	}
	return rows
}

// lines are the moments and the present: over windows, but over no mark.
func (t Timeline) lines(row []cell) {
	if c := t.column(t.Now, len(row)); c >= 0 && c < len(row) && background(row[c]) {
		row[c] = cell{'│', Dim}
	}
	for _, m := range t.Moments {
		if c := t.column(m.At, len(row)); c >= 0 && c < len(row) && background(row[c]) {
			row[c] = cell{'┆', Bad}
		}
	}
}

// background says that a cell is empty, or part of a window.
func background(c cell) bool { return c.glyph == 0 || c.glyph == '─' || c.glyph == '╌' }

// dots has several buckets in a row of characters: each IDENTIFY is a dot, in
// the colour of its pod.
func (t Timeline) dots(columns, lines int) (rows []string, what string) {
	grid := make([][]cell, lines)
	for i := range grid {
		grid[i] = make([]cell, columns)
		t.lines(grid[i])
	}
	high := lines * dotRows
	bits := [dotRows][dotColumns]rune{{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}
	row := func(bucket int) int {
		if t.Buckets <= high {
			return bucket
		}
		return bucket * high / t.Buckets
	}
	for _, m := range t.Marks {
		x, y := t.column(m.At, columns*dotColumns), row(m.Bucket)
		if x < 0 || x >= columns*dotColumns || y < 0 || y >= high {
			continue
		}
		at := &grid[y/dotRows][x/dotColumns]
		if at.glyph < 0x2800 || at.glyph > 0x28ff {
			*at = cell{0x2800, Plain}
		}
		at.glyph |= bits[y%dotRows][x%dotColumns]
		at.style = t.style(m)
	}
	for i := range grid {
		first := i * dotRows
		if t.Buckets > high {
			first = (i*dotRows*t.Buckets + high - 1) / high
		}
		rows = append(rows, " "+padLeft(strconv.Itoa(first), bucketLabel)+"  "+text(grid[i]))
	}
	return rows, fmt.Sprintf("a dot is an IDENTIFY, a row is %d buckets", max(dotRows, (t.Buckets+lines-1)/lines))
}

// text is a row of cells, each run of one style rendered at once.
func text(row []cell) string {
	var out strings.Builder
	for i := 0; i < len(row); {
		end := i
		var run []rune
		for end < len(row) && (row[end].glyph == 0) == (row[i].glyph == 0) && row[end].style.GetForeground() == row[i].style.GetForeground() {
			glyph := row[end].glyph
			if glyph == 0 {
				glyph = ' '
			}
			run = append(run, glyph)
			end++
		}
		if row[i].glyph == 0 {
			out.WriteString(string(run))
		} else {
			out.WriteString(row[i].style.Render(string(run)))
		}
		i = end
	}
	return strings.TrimRight(out.String(), " ")
}

func (t Timeline) glyph(m Mark) rune {
	if m.Bad {
		return '✗'
	}
	return glyphs[max(0, slices.Index(t.Pods, m.Pod))%len(glyphs)]
}

func (t Timeline) style(m Mark) lipgloss.Style {
	if m.Bad {
		return Bad
	}
	return colours[max(0, slices.Index(t.Pods, m.Pod))%len(colours)]
}

// steps are distances of ticks that people can read.
var steps = []time.Duration{
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
	20 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour,
}

const perTick = 9 // columns that a tick needs at least

// axis is the line of ticks.
func (t Timeline) axis(columns int) string {
	step := steps[len(steps)-1]
	for _, s := range steps {
		if t.column(t.From+s, columns) >= perTick {
			step = s
			break
		}
	}
	zero := time.Duration(0)
	if t.Ago {
		zero = t.Now
	}
	line := []rune(strings.Repeat(" ", columns))
	first := zero + (t.From - zero).Truncate(step)
	for at := first; at <= t.To; at += step {
		c := t.column(at, columns)
		label := []rune(tick(at-zero, step))
		if at == zero && t.Ago {
			label = []rune("now")
		}
		if at >= t.From && c+len(label) <= columns {
			copy(line[c:], label)
		}
	}
	return strings.TrimRight(Dim.Render(" "+padLeft("bucket", bucketLabel)+"  "+strings.TrimRight(string(line), " ")), " ")
}

func tick(d, step time.Duration) string {
	switch {
	case step < time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case step < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f min", d.Minutes())
}

// legend says what is what, as far as there is room.
func (t Timeline) legend(width int, what string, dots bool) string {
	words := []string{}
	for i, pod := range t.Pods {
		if pod == "" { // a queue in memory has none
			continue
		}
		glyph := glyphs[i%len(glyphs)]
		if dots {
			glyph = '⠿'
		}
		words = append(words, colours[i%len(colours)].Render(string(glyph)+" "+Pod(pod)))
	}
	if slices.ContainsFunc(t.Marks, func(m Mark) bool { return m.Bad }) {
		words = append([]string{Bad.Render("✗ violation")}, words...)
	}
	line := strings.Repeat(" ", bucketLabel+3)
	room := width - ansi.StringWidth(line)
	for i, word := range words {
		wide := ansi.StringWidth(word) + 2
		if wide > room {
			line += clip(Dim.Render(fmt.Sprintf("and %d more", len(words)-i)), max(0, room))
			return line
		}
		line, room = line+word+"  ", room-wide
	}
	for _, m := range t.Moments {
		if word := "┆ " + m.Text; ansi.StringWidth(word)+2 <= room {
			line, room = line+Bad.Render(word)+"  ", room-ansi.StringWidth(word)-2
		}
	}
	if len(what) <= room {
		line += Dim.Render(what)
	}
	return strings.TrimRight(line, " ")
}

// leastWindow is how many columns a window has at least: with fewer, marks and
// numbers run into each other.
const leastWindow = 8

// span is the longest time that fits a width.
func span(window time.Duration, width int) time.Duration {
	return window * time.Duration(max(16, width-bucketLabel-3)) / leastWindow
}

// Sliding is the part of time that a timeline shows which goes on for ever: mostly
// what was, and when buckets will open.
func Sliding(now, window time.Duration, width int) (from, to time.Duration) {
	to = now + window*5/4
	return to - span(window, width), to
}

// Whole is the part of time that a timeline shows of a run that is to last for
// total: all of it, or where it does not fit what slides.
func Whole(now, total, window time.Duration, width int) (from, to time.Duration) {
	if to = max(total, now); to <= span(window, width) {
		return 0, to
	}
	if from, to = Sliding(now, window, width); from < 0 {
		return 0, to - from
	}
	return from, to
}
