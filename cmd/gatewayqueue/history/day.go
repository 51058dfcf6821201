// A day in the terminal: sparklines, and a table.

package history

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/internal/minutes"
)

// column is how much time a sparkline's column is about: 48 of them fit a terminal of 80.
const (
	column  = 30 * time.Minute
	columns = int(gatewayqueue.HistoryMinutes * time.Minute / column)
)

type day struct {
	from    string // what was asked
	minutes []gatewayqueue.Minute
	now     time.Time
	each    time.Duration // that a row is about
}

func (d day) lines() []string {
	head := " " + picture.Bold.Render("the last 24 h, to "+d.now.Format("15:04 MST")) + "  " + picture.Dim.Render(d.from)
	if len(d.minutes) == 0 {
		return []string{head, "", " nothing was granted in a minute that is over, or nobody recorded it: see --help"}
	}
	return append(append([]string{head, ""}, d.sparklines()...), d.table()...)
}

// sparklines have one column for each half hour. Grants begin at 0, and so does the
// budget; waits are drawn by their logarithm, since they go from milliseconds to hours.
func (d day) sparklines() []string {
	first := d.now.UnixMilli()/column.Milliseconds() - int64(columns) + 1
	var granted, left, p50, p99 [columns]float64
	most := gatewayqueue.Minute{}
	for _, s := range minutes.By(d.minutes, column) {
		at := s.Start.UnixMilli()/column.Milliseconds() - first
		if at < 0 || at >= int64(columns) {
			continue // its clock is another
		}
		granted[at] = float64(s.Granted)
		if !s.Unknown {
			left[at] = float64(s.Remaining) / float64(max(1, s.Total))
		}
		p50[at], p99[at] = decades(s.P50), decades(s.P99)
		if s.Granted > most.Granted {
			most = s
		}
	}
	for i := 1; i < columns; i++ { // it stays where nothing was granted
		if left[i] == 0 && granted[i] == 0 {
			left[i] = left[i-1]
		}
	}
	sum := minutes.Sum(d.minutes)
	budget := "not known"
	if !sum.Unknown {
		budget = fmt.Sprintf("%d of %d", sum.Remaining, sum.Total)
	}
	line := func(label string, values [columns]float64, most float64, text string) string {
		return fmt.Sprintf(" %7s  %s  %s", label, picture.Spark(values[:], most), text)
	}
	return []string{
		line("granted", granted, 0, fmt.Sprintf("%d, %d in 30 min at most", sum.Granted, most.Granted)),
		line("left", left, 1, budget),
		line("p50", p50, 0, waited(sum, sum.P50)),
		line("p99", p99, 0, waited(sum, sum.P99)),
		"",
	}
}

// decades is a wait's logarithm: 0 is no wait, 1 up to 10 ms, 8 a day.
func decades(wait time.Duration) float64 {
	if wait <= 0 {
		return 0
	}
	return max(1, math.Log10(float64(wait)/float64(time.Millisecond)))
}

// table has a row for each span in which anything was granted.
func (d day) table() []string {
	rows := [][]string{{"from", "granted", "returned", "left", "p50", "p99"}}
	for _, s := range minutes.By(d.minutes, d.each) {
		left := "-"
		if !s.Unknown {
			left = fmt.Sprintf("%d of %d", s.Remaining, s.Total)
		}
		rows = append(rows, []string{
			s.Start.Local().Format("Mon 15:04"), strconv.Itoa(s.Granted), strconv.Itoa(s.Returned), left, waited(s, s.P50), waited(s, s.P99),
		})
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], ansi.StringWidth(cell))
		}
	}
	var lines []string
	for n, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-ansi.StringWidth(cell))
			if i == 0 {
				b.WriteString(" " + cell + pad)
			} else {
				b.WriteString("  " + pad + cell)
			}
		}
		if n == 0 {
			lines = append(lines, picture.Dim.Render(b.String()))
		} else {
			lines = append(lines, b.String())
		}
	}
	return lines
}

// waited is a wait in words, where anybody was granted.
func waited(m gatewayqueue.Minute, wait time.Duration) string {
	switch {
	case m.Granted == 0:
		return "-"
	case wait < time.Second:
		return fmt.Sprintf("%d ms", wait.Milliseconds())
	}
	return picture.Seconds(wait)
}
