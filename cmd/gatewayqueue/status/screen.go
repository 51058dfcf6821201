// The picture of a snapshot, and what came before it.

package status

import (
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
)

// window is what a full bar stands for: that of a queue with defaults.
const window = gatewayqueue.IdentifyDelay + gatewayqueue.GrantMargin

// screen is the picture of one snapshot.
func (s snapshot) screen() picture.Screen {
	screen := picture.Screen{Title: s.title(), About: append(picture.BucketsAbout(),
		picture.Entry{Word: "reserve", Text: "units of the budget that are never granted; in Redis only the default is known, not that of the pods"},
		picture.Entry{Word: "pods", Text: "those that take part now; gone: the lease is over, since then: it has died or was ended, or all its shards had their turn"},
		picture.Entry{Word: "timeline", Text: "who has identified since this was started; the line is where now is"})}
	if s.Replica {
		screen.Rows = append(screen.Rows, picture.Row{Label: "Redis", Fields: []picture.Field{
			{Text: "a replica: it grants nothing, and what it shows may be late", Style: picture.Bad},
			{Text: "give the URL of its primary"}}})
	}
	screen.Rows = append(screen.Rows, picture.LineRow(s.Status), picture.BudgetRow(s.Status, !s.Server))
	screen.Rows = append(screen.Rows, picture.SightsRows(s.Sights, s.storm(), time.Now())...)
	screen.Rows = append(screen.Rows, picture.Trouble(s.Status)...)
	if !s.inMemory() {
		screen.Rows = append(screen.Rows, picture.PodsRow(s.Status, "none takes part"))
	}
	if len(s.Buckets) > 0 {
		screen.Table = picture.Buckets(s.Status, window)
	}
	return screen
}

// storm is the one that proxies have told of, or none.
func (s snapshot) storm() (storm gatewayqueue.Storm) {
	if s.Storm != nil {
		storm = *s.Storm
	}
	return storm
}

// inMemory says that the queue is in one process, and has no pods.
func (s snapshot) inMemory() bool { return s.Server && s.Epoch == "" && s.App == "" }

func (s snapshot) title() []picture.Field {
	name := s.App
	if s.inMemory() {
		name = "in memory"
	}
	fields := []picture.Field{{Text: "queue " + name, Style: picture.Bold}}
	if n := s.Budget.MaxConcurrency; n > 0 {
		fields = append(fields, picture.Field{Text: fmt.Sprintf("max_concurrency %d", n), Rank: 1})
	}
	return append(fields,
		picture.Field{Text: "at " + s.Time.Local().Format(time.TimeOnly), Style: picture.Dim, Rank: 2},
		picture.Field{Text: s.From, Style: picture.Dim, Rank: 3})
}
