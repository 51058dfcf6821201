// The table of the buckets.

package picture

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/gatewayqueue/gatewayqueue"
)

// buckets is a status as a table.
type buckets struct {
	gatewayqueue.Status
	window time.Duration // a full bar
	dead   map[string]time.Duration
}

// Buckets is one row per bucket: open, closed or held by a permit; for how long,
// by whom, and who waits. window is what a full bar stands for.
func Buckets(s gatewayqueue.Status, window time.Duration) *Table {
	b := buckets{s, max(window, time.Millisecond), Ended(s)}
	return &Table{
		Len: len(s.Buckets), Thing: "bucket", Match: b.match, Sum: b.sum,
		Columns: []Column{
			{Name: "bucket", Right: true, Cell: func(i, _ int) string { return strconv.Itoa(s.Buckets[i].Bucket) }},
			{Name: "slot", Cell: func(i, _ int) string { return b.slot(i) }, Least: 6},
			{Name: "", Rank: 4, Least: leastBar, Share: 8, Most: 24, Cell: b.bar},
			{Name: "opens in", Right: true, Cell: func(i, _ int) string { return b.opens(i) }},
			{Name: "closed by", Rank: 2, Least: 9, Cell: func(i, _ int) string { return b.holder(i) }},
			{Name: "waiting", Right: true, Cell: func(i, _ int) string { return b.count(i) }},
			{Name: "line (shard@pod)", Brief: "line", Rank: 3, Least: 12, Want: 20, Cell: b.line},
		},
		Sorts: []Sort{
			{"bucket", cmp.Compare[int]},
			{"waiting", func(x, y int) int { // the longest line first
				return cmp.Compare(s.Buckets[y].Waiting, s.Buckets[x].Waiting)
			}},
			{"opens", func(x, y int) int { return cmp.Compare(b.closed(x), b.closed(y)) }}, // the next first
		},
	}
}

func (b buckets) closed(i int) time.Duration { return max(b.Buckets[i].Closed, b.Hold) }

func (b buckets) slot(i int) string {
	switch word := b.slotWord(i); word {
	case "open":
		return Good.Render(word)
	case "next":
		return Good.Render(word)
	case "permit":
		return held.Render(word)
	case "held":
		return Bad.Render(word)
	default:
		return word
	}
}

func (b buckets) bar(i, width int) string {
	if b.closed(i) <= due {
		return ""
	}
	return gauge(float64(b.closed(i))/float64(b.window), width, blue)
}

func (b buckets) opens(i int) string {
	if b.closed(i) <= 0 {
		return "-"
	}
	if b.closed(i) <= due {
		return "now"
	}
	return Seconds(b.closed(i))
}

func (b buckets) holder(i int) string {
	one := b.Buckets[i]
	if one.Holder == "" || b.closed(i) <= 0 {
		return ""
	}
	if _, _, ticket := Ticket(one.Holder); !ticket {
		return one.Holder + " (by hand)"
	}
	return b.place(one.Holder)
}

func (b buckets) count(i int) string {
	if n := b.Buckets[i].Waiting; n > 0 {
		return strconv.Itoa(n)
	}
	return Dim.Render("-")
}

// line is the first places of a bucket's line, as many as fit.
func (b buckets) line(i, width int) string {
	one := b.Buckets[i]
	var line strings.Builder
	used := 0
	for n, place := range one.Line {
		text := b.place(place.Ticket)
		need := ansi.StringWidth(text) + min(n, 1)
		left := 0 // columns for what says that there are more
		if n < one.Waiting-1 {
			left = 2
		}
		if width > 0 && used+need+left > width {
			break
		}
		if n > 0 {
			line.WriteString(" ")
		}
		line.WriteString(text)
		used += need
		if n == len(one.Line)-1 && one.Waiting == len(one.Line) {
			return line.String()
		}
	}
	if one.Waiting > 0 {
		line.WriteString(strings.Repeat(" ", min(used, 1)) + "…")
	}
	return line.String()
}

// place is a ticket; that of a pod whose lease is over is grey, and has a dagger.
func (b buckets) place(ticket string) string {
	if _, pod, _ := Ticket(ticket); b.dead[pod] > 0 {
		return Dim.Render(Place(ticket) + "†")
	}
	return Place(ticket)
}

// match finds a shard by its number, which is in one bucket only, and pods and
// what was set by hand by a part of the name.
func (b buckets) match(i int, text string) bool {
	one := b.Buckets[i]
	if shard, err := strconv.Atoi(text); err == nil && shard >= 0 && shard <= gatewayqueue.MaxShard && len(b.Buckets) > 0 {
		return one.Bucket == shard%len(b.Buckets)
	}
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), strings.ToLower(text)) }
	return has(Place(one.Holder)) && b.closed(i) > 0 ||
		has(b.slotWord(i)) ||
		slices.ContainsFunc(one.Line, func(p gatewayqueue.Place) bool { return has(Place(p.Ticket)) })
}

func (b buckets) slotWord(i int) string {
	one := b.Buckets[i]
	switch {
	case b.closed(i) <= 0:
		return "open"
	case b.closed(i) <= due:
		return "next"
	case one.Permit:
		return "permit"
	case one.Holder == "" && b.Hold > 0: // not by a ticket
		return "held"
	}
	return "closed"
}

func (b buckets) sum(rows []int) string {
	open, waits := 0, 0
	for _, i := range rows {
		if b.closed(i) <= 0 {
			open++
		}
		waits += b.Buckets[i].Waiting
	}
	return fmt.Sprintf("%d open, %d closed, %d waiting", open, len(rows)-open, waits)
}

// BucketsAbout explains the table.
func BucketsAbout() []Entry {
	return []Entry{
		{"slot", "open: the next in line is granted at once; closed: for a window after an IDENTIFY; next: that is over, and the first in line is about to have its turn; permit: its holder still dials; held: all buckets are closed, nobody's ticket has done it"},
		{"opens in", "how long it stays closed at most; the bar is the same, full at a whole window"},
		{"closed by", "shard@pod: who identified last, or what was written there by hand"},
		{"line", "who waits, the first first, shard@pod; … for more. Nobody stands in it for a pod whose lease is over; as who has closed a bucket it is grey, with †"},
	}
}
