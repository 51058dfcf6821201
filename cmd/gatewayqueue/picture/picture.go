// Package picture draws a queue for a terminal: its budget, and one line per
// bucket with slot and waiters. The demo and status commands show the same.
package picture

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Frame is the space there is, and what a status alone does not tell.
type Frame struct {
	Width  int           // columns
	Lines  int           // most lines for buckets; 0 for as many as there are
	Window time.Duration // a full bar of a closed bucket
}

// Queue draws the budget and the buckets.
func Queue(s gatewayqueue.Status, f Frame) []string {
	lines := append(append(Budget(s, f), Source(s, f)...), "")
	if s.Hold > 0 {
		lines = append(lines, warn.Render(clip(fmt.Sprintf(
			" every bucket is held closed for %s, after a change of limits or a loss of state", Seconds(s.Hold)), f.Width)))
	}
	return append(lines, Buckets(s, f)...)
}

// Budget is one line about the daily limit.
func Budget(s gatewayqueue.Status, f Frame) []string {
	b := s.Budget
	if b.Unknown {
		return []string{Row("budget", warn.Render("unknown: nothing is granted until a pod has seeded it again"), f.Width)}
	}
	if b.Never != "" {
		return []string{Row("budget", warn.Render(plain(b.Never)), f.Width)}
	}
	left := 0.0
	if b.Total > 0 {
		left = float64(b.Remaining) / float64(b.Total)
	}
	text := fmt.Sprintf("%d of %d left", b.Remaining, b.Total)
	switch {
	case b.Reset.IsZero():
		text += dim.Render(", no period has begun")
	default:
		text += dim.Render(", resets in " + Seconds(b.Reset.Sub(s.Time)))
	}
	return []string{Row("budget", Bar(left, f.Width)+"  "+text, f.Width)}
}

// plain is the text of an error without the name of the package that it is of.
func plain(text string) string {
	return strings.TrimPrefix(strings.TrimPrefix(text, "redisqueue: "), "gatewayqueue: ")
}

// Source is a line about what is wrong with the source of the limits, if
// anything is.
func Source(s gatewayqueue.Status, f Frame) []string {
	if s.Source.Error == "" {
		return nil
	}
	text := "failed"
	if !s.Source.After.IsZero() {
		text += ", asked again in " + Seconds(s.Source.After.Sub(s.Time))
	}
	return []string{Row("source", warn.Render(text+": "+plain(s.Source.Error)), f.Width)}
}

// The columns of a bucket's line; the last one takes what is left.
const (
	bucketColumn = 6
	slotColumn   = 7
	barColumn    = 12
	timeColumn   = 10
	narrow       = 64 // below it the bar is left out
)

// Buckets is one line per bucket: open, closed or held by a permit; for how
// long, by whom, and who waits. Those that do not fit are summed up in a line.
func Buckets(s gatewayqueue.Status, f Frame) []string {
	shown := s.Buckets
	if f.Lines > 0 && len(shown)+1 > f.Lines { // one line is the header
		shown = shown[:max(0, f.Lines-2)]
	}
	lines := []string{dim.Render(columns(f.Width, "bucket", "slot", "", "", "closed by", "line"))}
	for _, b := range shown {
		lines = append(lines, bucket(s, b, f))
	}
	if rest := s.Buckets[len(shown):]; len(rest) > 0 {
		lines = append(lines, dim.Render(clip(summary(rest, len(shown) > 0), f.Width)))
	}
	return lines
}

func bucket(s gatewayqueue.Status, b gatewayqueue.BucketStatus, f Frame) string {
	closed := max(b.Closed, s.Hold)
	slot, bar, left, holder := open.Render("open"), "", "", ""
	switch {
	case closed <= 0:
	case b.Permit:
		slot, holder = held.Render("permit"), Place(b.Holder)
	case b.Holder != "":
		slot, holder = shut.Render("closed"), Place(b.Holder)
	default: // by a change of limits or a loss of state, not by a ticket
		slot = warn.Render("held")
	}
	if closed > 0 {
		whole := max(f.Window, gatewayqueue.IdentifyDelay/1000)
		bar, left = gauge(min(1, float64(closed)/float64(whole)), barColumn), Seconds(closed)
	}
	return columns(f.Width, fmt.Sprint(b.Bucket), slot, bar, left, holder, Line(b))
}

// columns lays out one line of the table.
func columns(width int, bucket, slot, bar, left, holder, line string) string {
	var row strings.Builder
	row.WriteString(" " + padLeft(bucket, bucketColumn) + "  " + pad(slot, slotColumn))
	if width >= narrow {
		row.WriteString(pad(bar, barColumn))
	}
	room := min(30, max(16, width/5-4)) // pods may have long names
	row.WriteString(padLeft(left, timeColumn) + "  " + pad(clip(holder, room), room) + "  " + line)
	return clip(row.String(), width)
}

// Line says who waits in front of a bucket: how many, and the first places.
func Line(b gatewayqueue.BucketStatus) string {
	if b.Waiting == 0 {
		return dim.Render("-")
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%d:", b.Waiting)
	for _, place := range b.Line {
		text.WriteString(" " + Place(place.Ticket))
	}
	if b.Waiting > len(b.Line) {
		text.WriteString(" ...")
	}
	return text.String()
}

// podTail is what a queue adds to its pod's name, so that a pod that starts again
// is another one.
var podTail = regexp.MustCompile(`-[0-9a-f]{8}$`)

// Place is a ticket as a person reads it, shard@pod: without the zeros that make
// tickets sort by shard, the tail of the pod's name, and the counter that tells
// a pod's tickets of the same shard apart.
func Place(ticket string) string {
	place, _, _ := strings.Cut(ticket, "#")
	shard, pod, found := strings.Cut(place, "@")
	if number, err := strconv.Atoi(shard); found && err == nil {
		return strconv.Itoa(number) + "@" + podTail.ReplaceAllString(pod, "")
	}
	return place
}

func summary(rest []gatewayqueue.BucketStatus, more bool) string {
	closed, waiting := 0, 0
	for _, b := range rest {
		waiting += b.Waiting
		if b.Closed > 0 {
			closed++
		}
	}
	word := "buckets"
	if more {
		word = "more " + word
	}
	return fmt.Sprintf(" %*d %s: %d open, %d closed, %d waiting", bucketColumn, len(rest), word, len(rest)-closed, closed, waiting)
}

// Later is the status as it will be after d if nobody comes or goes: what is
// closed is closed for less. It lets a view move between two snapshots.
func Later(s gatewayqueue.Status, d time.Duration) gatewayqueue.Status {
	s.Time = s.Time.Add(d)
	s.Hold = max(0, s.Hold-d)
	s.Buckets = slices.Clone(s.Buckets)
	for i := range s.Buckets {
		s.Buckets[i].Closed = max(0, s.Buckets[i].Closed-d)
	}
	return s
}

// Drained estimates how long the lines last, if step passes between two grants
// of a bucket and nobody comes or goes. waiting says how many still wait for a
// bucket.
func Drained(s gatewayqueue.Status, step time.Duration, waiting func(gatewayqueue.BucketStatus) int) time.Duration {
	var longest time.Duration
	for _, b := range s.Buckets {
		if n := waiting(b); n > 0 {
			first := max(b.Closed, s.Hold)
			if b.Permit { // for as long as its lease at the most, but its holder will identify soon
				first = step
			}
			longest = max(longest, first+time.Duration(n-1)*step)
		}
	}
	return longest
}
