// All queues of a Redis, a row each.

package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/look"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
)

// queues is what the last look at all of them has shown.
type queues struct {
	mu   sync.Mutex
	from string
	all  []look.Queue
	more int // that are not shown
	at   time.Time
	err  error // why there is nothing newer
}

func runAll(ctx context.Context, c config, out io.Writer) (err error) {
	redis, err := c.OpenAll(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	q := &queues{from: redis.From()}
	take := func(ctx context.Context) error {
		all, err := redis.Look(ctx)
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.err = err; err == nil {
			q.all, q.more, q.at = all, redis.More, time.Now()
		}
		return err
	}
	switch {
	case c.JSON:
		return repeat(ctx, c.Watch, func() error {
			if err := take(ctx); err != nil {
				return err
			}
			return printAll(out, q.all, c.Watch == 0)
		})
	case c.Watch > 0 && picture.IsTerminal(out):
		return watch(ctx, out, c, take, q.screen)
	}
	return printScreens(ctx, out, c, take, q.screen)
}

// printAll prints a JSON object of all queues by application.
func printAll(out io.Writer, all []look.Queue, indent bool) error {
	apps := make(map[string]any, len(all))
	for _, one := range all {
		if apps[one.App] = one.Snapshot; one.Err != nil {
			apps[one.App] = map[string]string{"error": cli.OneLine(one.Err)}
		}
	}
	to := printable.JSON(out)
	if indent {
		to.SetIndent("", "  ")
	}
	return to.Encode(apps)
}

// allSorts are the orders of the table.
var allSorts = []string{"app", "waiting", "left"}

func (q *queues) screen() picture.Screen {
	q.mu.Lock()
	defer q.mu.Unlock()
	all := make([]look.Queue, len(q.all))
	for i, one := range q.all {
		one.App, one.Status = printable.Text(one.App), printable.All(one.Status)
		all[i] = one
	}
	screen := picture.Screen{
		Title: []picture.Field{
			{Text: fmt.Sprintf("%d queues", len(all)+q.more), Style: picture.Bold},
			{Text: "at " + q.at.Local().Format(time.TimeOnly), Style: picture.Dim, Rank: 2}, {Text: q.from, Style: picture.Dim, Rank: 3},
		},
		About: []picture.Entry{
			{Word: "left", Text: "of the daily budget"},
			{Word: "oldest", Text: "for how long the first in line has waited"},
			{Word: "state", Text: "what keeps the queue from granting, if anything does; status --app shows one queue whole"},
		},
		Table: &picture.Table{
			Len: len(all), Thing: "queue",
			Match: func(i int, text string) bool {
				return strings.Contains(strings.ToLower(all[i].App+" "+all[i].State()), strings.ToLower(text))
			},
			Columns: []picture.Column{
				{Name: "app", Least: 10, Cell: func(i, _ int) string { return all[i].App }},
				{Name: "left", Right: true, Cell: func(i, _ int) string { return leftOf(all[i]) }},
				{Name: "buckets", Right: true, Rank: 3, Cell: func(i, _ int) string { return strconv.Itoa(len(all[i].Buckets)) }},
				{Name: "pods", Right: true, Rank: 4, Cell: func(i, _ int) string { return strconv.Itoa(alive(all[i].Status)) }},
				{Name: "waiting", Right: true, Cell: func(i, _ int) string { return strconv.Itoa(all[i].Waiting()) }},
				{Name: "oldest", Right: true, Rank: 2, Cell: func(i, _ int) string { return oldest(all[i]) }},
				{Name: "state", Rank: 1, Least: 8, Cell: func(i, _ int) string { return all[i].State() }},
			},
			Sorts: []picture.Sort{
				{Name: allSorts[0], Compare: cmp.Compare[int]},
				{Name: allSorts[1], Compare: func(x, y int) int { return cmp.Compare(all[y].Waiting(), all[x].Waiting()) }},
				{Name: allSorts[2], Compare: func(x, y int) int { return cmp.Compare(all[x].Budget.Remaining, all[y].Budget.Remaining) }},
			},
		},
	}
	if q.more > 0 {
		screen.Rows = append(screen.Rows, picture.Row{Label: "more", Fields: []picture.Field{{Text: fmt.Sprintf("%d are not shown", q.more)}}})
	}
	if q.err != nil {
		screen.Rows = append(screen.Rows, picture.Row{Label: "trouble", Fields: []picture.Field{{Text: cli.OneLine(q.err), Style: picture.Bad}}})
	}
	return screen
}

func leftOf(q look.Queue) string {
	if q.Budget.Unknown || q.Err != nil {
		return "-"
	}
	return fmt.Sprintf("%d of %d", q.Budget.Remaining, q.Budget.Total)
}

func alive(s gatewayqueue.Status) (n int) {
	for _, p := range s.Pods {
		if p.Lease.After(s.Time) {
			n++
		}
	}
	return n
}

func oldest(q look.Queue) string {
	if d := q.Oldest(); d > 0 {
		return picture.Seconds(d)
	}
	return "-"
}
