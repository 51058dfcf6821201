// The summary at the end.

package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
)

// screen is the picture that stays: the verdict, the figures, and the timeline
// where there is room.
func (r *report) screen() picture.Screen {
	s := picture.Screen{Title: r.heading(), Rows: r.rows()}
	if len(r.marks) == 0 {
		return s
	}
	s.Below = func(width, lines int) []string {
		return drawTimeline(textTimeline(r.timeline(), r.closes()), max(r.took()+r.Window/4, r.Window), r.took(), r.closes(), width, lines)
	}
	return s
}

func (r *report) heading() []picture.Field {
	up := r.fleet.ledger.now().Up
	text := fmt.Sprintf("demo: %d of %s up in %s", up, picture.Count(r.Shards, "shard"), picture.Seconds(r.took()))
	if r.cut {
		text = fmt.Sprintf("demo, ended early: %d of %s up so far", up, picture.Count(r.Shards, "shard"))
	}
	verdict := picture.Field{Text: "no violations", Style: picture.Good}
	if !r.final.OK() {
		verdict = picture.Field{Text: fmt.Sprintf("%s, %d over budget", picture.Count(r.final.Violations, "violation"), r.final.OverBudget), Style: picture.Bad}
	}
	return []picture.Field{{Text: text, Style: picture.Bold}, verdict}
}

// rows are the figures. What a terminal that is low has no room for is left out,
// the highest rank first.
func (r *report) rows() []picture.Row {
	rows := []picture.Row{
		{Label: "shards up", Fields: r.shardsFields()},
		{Label: "bring-up time", Fields: said(seconds(r.took()))},
		{Label: "least possible", Fields: r.idealFields(), Rank: 2},
		{Label: "violations", Fields: r.violationsFields()},
		{Label: "least gap", Fields: said(r.gapText()), Rank: 1},
		{Label: "over budget", Fields: []picture.Field{verdictField(fmt.Sprint(r.final.OverBudget), r.final.OverBudget == 0)}},
		{Label: "budget", Fields: said(r.budgetText(), "reserve 0")},
		{Label: "Redis calls per grant", Fields: said(r.callsText()), Rank: 3},
		{Label: "handoff p50 / p99", Fields: said(r.handoffText()), Rank: 4},
		{Label: "grants per pod", Fields: said(r.podsText()), Rank: 5},
	}
	for _, d := range r.fleet.deaths {
		rows = append(rows, picture.Row{Label: "killed", Fields: said(fmt.Sprintf("%s at %s", d.Pod, seconds(d.At)), fmt.Sprintf("%s took over at %s", d.Heir, seconds(d.Back)))})
	}
	return rows
}

// said are fields without a style, each of which is always shown.
func said(texts ...string) (fields []picture.Field) {
	for _, text := range texts {
		fields = append(fields, picture.Field{Text: text})
	}
	return fields
}

func (r *report) shardsFields() []picture.Field {
	up := r.fleet.ledger.now()
	fields := said(fmt.Sprintf("%d of %d", up.Up, r.Shards))
	if up.Refused > 0 {
		fields = append(fields, verdictField(fmt.Sprintf("%d refused", up.Refused), false))
	}
	exhausted := 0
	for _, e := range r.failed {
		if e.Exhausted {
			exhausted++
		}
	}
	if exhausted > 0 {
		fields = append(fields, picture.Field{Text: fmt.Sprintf("%d must wait for the budget's reset", exhausted)})
	}
	if failed, _ := r.broken(); failed > 0 {
		fields = append(fields, verdictField(fmt.Sprintf("%d failed", failed), false))
	}
	if r.cut {
		fields = append(fields, picture.Field{Text: fmt.Sprintf("%d had not had their turn yet", up.waiting())})
	}
	return fields
}

func (r *report) idealFields() []picture.Field {
	windows := r.windows()
	if windows == 0 {
		return said("no bucket had to wait for a window")
	}
	discord := time.Duration(windows) * r.Window
	fields := said(fmt.Sprintf("%s by Discord's rule (ratio %.3f)", seconds(discord), r.ratio(discord)))
	if ours := time.Duration(windows) * r.step(); ours != discord {
		what := "margin"
		if r.step() > r.closes() {
			what = "margin and dial"
		}
		fields = append(fields, picture.Field{Text: fmt.Sprintf("%s with %s (ratio %.3f)", seconds(ours), what, r.ratio(ours))})
	}
	return fields
}

func (r *report) ratio(of time.Duration) float64 { return r.took().Seconds() / of.Seconds() }

func (r *report) violationsFields() []picture.Field {
	if r.final.Violations == 0 {
		return []picture.Field{verdictField("0", true)}
	}
	return []picture.Field{verdictField(fmt.Sprint(r.final.Violations), false),
		verdictField(fmt.Sprintf("the worst %v too early", r.final.WorstShortfall.Round(time.Millisecond)), false)}
}

func (r *report) gapText() string {
	if r.windows() == 0 {
		return "-"
	}
	return fmt.Sprintf("%s (window %s)", seconds(r.final.LeastGap), seconds(r.Window))
}

func (r *report) budgetText() string {
	text := fmt.Sprintf("%d before, %d after", r.Remaining, r.status.Budget.Remaining)
	if spent := r.Remaining - r.status.Budget.Remaining; spent != r.final.Identifies {
		text += fmt.Sprintf(": %d spent for %d identifies", spent, r.final.Identifies)
	}
	return text
}

func (r *report) callsText() string {
	if len(r.grants) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f (%d scripts, %d grants)", float64(r.calls)/float64(len(r.grants)), r.calls, len(r.grants))
}

func (r *report) handoffText() string {
	if len(r.handoff) == 0 {
		return "-"
	}
	return fmt.Sprintf("%s / %s after the bucket had opened", millis(percentile(r.handoff, 50)), millis(percentile(r.handoff, 99)))
}

func (r *report) podsText() string {
	const most = 12
	per := map[string]int{}
	for _, g := range r.grants {
		per[g.Pod]++
	}
	var words []string
	for _, pod := range r.pods {
		words = append(words, fmt.Sprintf("%s %d", pod, per[pod]))
	}
	if len(words) > most {
		return fmt.Sprintf("%s and %d more pods", strings.Join(words[:most], ", "), len(words)-most)
	}
	return strings.Join(words, ", ")
}

func verdictField(text string, good bool) picture.Field {
	if good {
		return picture.Field{Text: text, Style: picture.Good}
	}
	return picture.Field{Text: text, Style: picture.Bad}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
