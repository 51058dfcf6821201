// The table at the end.

package demo

import (
	"fmt"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
)

func (r *report) table() string {
	cell := lipgloss.NewStyle().Padding(0, 1)
	return table.New().Border(lipgloss.RoundedBorder()).BorderStyle(lipgloss.NewStyle().Faint(true)).
		StyleFunc(func(_, column int) lipgloss.Style {
			if column == 0 {
				return cell.Faint(true)
			}
			return cell
		}).Rows(r.rows()...).String()
}

func (r *report) rows() [][]string {
	rows := [][]string{
		{"shards up", r.shardsText()},
		{"bring-up time", seconds(r.took())},
		{"least possible", r.idealText()},
		{"violations", r.violationsText()},
		{"least gap", r.gapText()},
		{"over budget", verdictStyle(fmt.Sprint(r.final.OverBudget), r.final.OverBudget == 0)},
		{"budget", r.budgetText()},
		{"Redis calls per grant", r.callsText()},
		{"handoff p50 / p99", r.handoffText()},
		{"grants per pod", r.podsText()},
	}
	for _, d := range r.fleet.deaths {
		rows = append(rows, []string{"killed", fmt.Sprintf("%s at %s, %s took over at %s", d.Pod, seconds(d.At), d.Heir, seconds(d.Back))})
	}
	return rows
}

func (r *report) shardsText() string {
	up := r.fleet.ledger.now()
	text := fmt.Sprintf("%d of %d", up.Up, r.Shards)
	if up.Refused > 0 {
		text += picture.Bad(fmt.Sprintf("; %d refused", up.Refused))
	}
	exhausted := 0
	for _, e := range r.failed {
		if e.Exhausted {
			exhausted++
		}
	}
	if exhausted > 0 {
		text += fmt.Sprintf("; %d must wait for the budget's reset", exhausted)
	}
	if failed, _ := r.broken(); failed > 0 {
		text += picture.Bad(fmt.Sprintf("; %d failed", failed))
	}
	return text
}

func (r *report) idealText() string {
	windows := r.windows()
	if windows == 0 {
		return "no bucket had to wait for a window"
	}
	discord := time.Duration(windows) * r.Window
	text := fmt.Sprintf("%s by Discord's rule (ratio %.3f)", seconds(discord), r.ratio(discord))
	if ours := time.Duration(windows) * r.step(); ours != discord {
		what := "margin"
		if r.step() > r.closes() {
			what = "margin and dial"
		}
		text += fmt.Sprintf("\n%s with %s (ratio %.3f)", seconds(ours), what, r.ratio(ours))
	}
	return text
}

func (r *report) ratio(of time.Duration) float64 { return r.took().Seconds() / of.Seconds() }

func (r *report) violationsText() string {
	if r.final.Violations == 0 {
		return verdictStyle("0", true)
	}
	return verdictStyle(fmt.Sprintf("%d, the worst %v too early", r.final.Violations, r.final.WorstShortfall.Round(time.Millisecond)), false)
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
	const perLine, most = 4, 12
	per := map[string]int{}
	for _, g := range r.grants {
		per[g.Pod]++
	}
	var text strings.Builder
	for i, pod := range r.pods {
		if i == most {
			fmt.Fprintf(&text, "\nand %d more pods", len(r.pods)-most)
			break
		}
		switch {
		case i > 0 && i%perLine == 0:
			text.WriteString("\n")
		case i > 0:
			text.WriteString(", ")
		}
		fmt.Fprintf(&text, "%s %d", pod, per[pod])
	}
	return text.String()
}

func verdictStyle(text string, good bool) string {
	if good {
		return picture.Good(text)
	}
	return picture.Bad(text)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
