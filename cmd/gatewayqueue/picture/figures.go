// Rows about a queue: its line, its budget, its pods, and what stands in its way.

package picture

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// step is the time between two grants of a bucket, of a queue with defaults.
const step = gatewayqueue.IdentifyDelay + gatewayqueue.GrantMargin

// noReset is what is said where no period has begun.
const noReset = "no period has begun"

// BudgetRow is one row about the daily limit. usual says that the reserve is only
// what a queue has by default: a pod's own options are not in Redis.
func BudgetRow(s gatewayqueue.Status, usual bool) Row {
	b := s.Budget
	switch {
	case b.Unknown && s.Store.Error != "":
		return Row{Label: "budget", Fields: []Field{{Text: "not known: see Redis", Style: Bad}}}
	case b.Unknown && s.Epoch == "" && s.Source.Error == "":
		return Row{Label: "budget", Fields: []Field{{Text: "no limits yet, so nothing is granted: is the bot's token right? Its log says what Discord answers", Style: Bad}}}
	case b.Unknown && s.Epoch == "":
		return Row{Label: "budget", Fields: []Field{{Text: "no limits yet, so nothing is granted", Style: Bad}}}
	case b.Unknown:
		return Row{Label: "budget", Fields: []Field{{Text: "unknown since Redis has lost it: nothing is granted until a pod has asked for the limits", Style: Bad}}}
	case b.Never != "":
		return Row{Label: "budget", Fields: []Field{{Text: bare(b.Never), Style: Bad}}}
	}
	short := s.Waiting() > s.Budget.Grantable()
	bar := NewBar(0)
	if b.Total > 0 {
		bar = NewBar(float64(b.Remaining) / float64(b.Total))
	}
	left := Field{Text: fmt.Sprintf("%d of %d left", b.Remaining, b.Total)}
	if short || b.Remaining == 0 {
		left.Style, bar.Style = Bad, Bad
	}
	reserve := fmt.Sprintf("reserve %d", b.Reserve)
	if usual {
		reserve += " by default"
	}
	reset := noReset
	if !b.Reset.IsZero() {
		reset = "resets in " + Seconds(b.Reset.Sub(s.Time))
	}
	return Row{Label: "budget", Bar: bar, Fields: []Field{left, {Text: reserve, Style: Dim, Rank: 3}, {Text: reset, Style: Dim, Rank: 2}}}
}

// Short says that a budget does not last: how many are left for how many, and what
// becomes of the others.
func Short(left, wanted int, reset, now time.Time) []Field {
	fields := []Field{{Text: fmt.Sprintf("%d left for %s: %d will wait until the reset", left, Count(wanted, "shard"), wanted-left), Style: Bad}}
	if !reset.IsZero() {
		fields = append(fields, Field{Text: "in " + Seconds(reset.Sub(now)), Style: Bad, Rank: 1, Glue: " "})
	}
	return fields
}

// LineRow says how many wait, and when the last of them will have its turn.
func LineRow(s gatewayqueue.Status) Row {
	n, left := s.Waiting(), s.Budget.Grantable()
	row := Row{Label: "waiting"}
	switch {
	case n == 0:
		row.Fields = []Field{{Text: "nobody"}}
		if atRest(s) {
			row.Fields = append(row.Fields, Field{Text: "every bucket is open: the queue is at rest", Style: Dim, Rank: 2})
		}
	case s.Budget.Unknown || s.Budget.Never != "" || s.Store.Error != "" || s.Pause != nil:
		row.Fields = []Field{{Text: fmt.Sprintf("%d in line", n)}}
	case left < n:
		row.Fields = Short(left, n, s.Budget.Reset, s.Time)
	default:
		last := s.Drained(step, nil)
		row.Fields = []Field{{Text: fmt.Sprintf("%d in line", n)}, {Text: "the last one gets its turn in about " + Seconds(last), Style: Dim, Rank: 2}}
	}
	return row
}

func atRest(s gatewayqueue.Status) bool {
	return !s.Budget.Unknown && s.Store.Error == "" && len(s.Buckets) > 0 && s.Hold == 0 &&
		!slices.ContainsFunc(s.Buckets, func(b gatewayqueue.BucketStatus) bool { return b.Closed > 0 || b.Waiting > 0 })
}

// How many pods are named in a row: of those that live, and of those that do not.
const (
	mostNames = 6
	mostGone  = 3
)

// PodsRow counts the pods that live, and names those whose lease is over, and since
// when: they have died or were ended, or have nothing to wait for. none is what is said where no pod takes part.
func PodsRow(s gatewayqueue.Status, none string) Row {
	var living, gone []string
	dead := Ended(s)
	pods := slices.Clone(s.Pods)
	slices.SortStableFunc(pods, func(a, b gatewayqueue.PodStatus) int { return b.Lease.Compare(a.Lease) }) // the latest first
	named := map[string]bool{}                                                                             // a pod that was started again goes by its last start
	for _, p := range pods {
		name := Pod(p.Pod)
		age, over := dead[p.Pod]
		switch {
		case !over:
			living = append(living, name)
		case !named[name]:
			gone = append(gone, name+" "+Seconds(age)+" ago")
		}
		named[name] = true
	}
	slices.Sort(living)
	row := Row{Label: "pods", Rank: 2}
	if len(living) == 0 {
		row.Fields = []Field{{Text: none}}
	} else {
		row.Fields = []Field{{Text: fmt.Sprint(len(living))}, {Text: Names(living, mostNames), Rank: 2, Glue: ": "}}
	}
	if len(gone) > 0 {
		row.Fields = append(row.Fields, Field{Text: "gone: " + Names(gone, mostGone), Style: Dim, Rank: 1, Glue: "; "})
	}
	return row
}

// Trouble are rows about what keeps a queue from granting, one for each: Redis, a hold,
// shards that back off, the source of the limits.
func Trouble(s gatewayqueue.Status) (rows []Row) {
	if s.Store.Error != "" {
		row := Row{Label: "Redis", Fields: []Field{{Text: "grants are refused: " + s.Store.Error, Style: Bad}}}
		if s.Store.Cure != "" {
			row.Fields = append(row.Fields, Field{Text: "type " + s.Store.Cure})
		}
		rows = append(rows, row)
	}
	if s.Pause != nil {
		rows = append(rows, pauseRow(*s.Pause, s.Time))
	}
	if s.Hold > 0 {
		rows = append(rows, Row{Label: "held", Fields: []Field{
			{Text: "every bucket is closed for " + Seconds(s.Hold), Style: Bad},
			{Text: "after a start, a loss of state, a change of limits, or by hand"},
		}})
	}
	if len(s.Backoffs) > 0 {
		var shards []int
		for shard := range s.Backoffs {
			shards = append(shards, shard)
		}
		slices.Sort(shards)
		var names []string
		for _, shard := range shards {
			names = append(names, fmt.Sprintf("shard %d for %s", shard, Seconds(s.Backoffs[shard].Sub(s.Time))))
		}
		rows = append(rows, Row{Label: "backoff", Fields: []Field{
			{Text: Names(names, mostNames), Style: Bad}, {Text: "they have identified too often: look at their logs"},
		}})
	}
	if s.Source.Error != "" {
		fields := []Field{{Text: "the limits could not be asked for: " + bare(s.Source.Error), Style: Bad}}
		if !s.Source.After.IsZero() {
			fields = append(fields, Field{Text: "asked again in " + Seconds(s.Source.After.Sub(s.Time))})
		}
		rows = append(rows, Row{Label: "source", Fields: fields})
	}
	return rows
}

// pauseRow says who has paused the grants, why, and for how long yet.
func pauseRow(p gatewayqueue.PauseStatus, now time.Time) Row {
	fields := []Field{{Text: strings.TrimPrefix(p.String(), "paused "), Style: Bad}}
	if !p.Since.IsZero() {
		fields = append(fields, Field{Text: Seconds(now.Sub(p.Since)) + " ago", Rank: 1})
	}
	end := Field{Text: "until somebody resumes"}
	if !p.Until.IsZero() {
		end.Text = "for " + Seconds(p.Until.Sub(now)) + " more"
	}
	return Row{Label: "paused", Fields: append(fields, end)}
}

// bare is the text of an error without the name of the package that it is of.
func bare(text string) string {
	for _, name := range []string{"redisqueue: ", "gatewayqueue: ", "httpqueue: "} {
		text = strings.TrimPrefix(text, name)
	}
	return text
}
