// The picture of a run: a function of all that is known at a moment.

package demo

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/timeline"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// state is all that is known at a moment of a run.
type state struct {
	config
	progress
	queue   gatewayqueue.Status
	trouble error // why queue is not newer
	verdict gatewaytest.Verdict
	marks   []picture.Mark
	moments []picture.Moment
	pods    []string // in the order of their start
	notes   []string
	look    []string // commands for another terminal
}

// screen is the picture.
func (s state) screen() picture.Screen {
	s.queue = s.known()
	screen := picture.Screen{
		Title: s.title(), Notes: s.notes,
		Rows: []picture.Row{
			{Label: "shards", Bar: picture.NewBar(float64(s.Up) / float64(s.Shards)), Fields: s.upFields()},
			{Label: "time", Fields: s.timeFields(), Rank: 1},
			picture.BudgetRow(s.queue, false),
		},
		Table: picture.Buckets(s.queue, s.closes()),
		Below: func(width, lines int) []string {
			t := picture.Timeline{Buckets: s.MaxConcurrency, Marks: s.marks, Pods: s.pods, Moments: s.moments}
			total := s.Elapsed + s.toGo() + s.closes()/4
			return drawTimeline(t, max(total, s.ideal()+s.Window), s.Elapsed, s.closes(), width, lines)
		},
		About: append(picture.BucketsAbout(),
			picture.Entry{Word: "judge", Text: "what Discord would punish: two IDENTIFYs of a bucket within a window, or more than the budget allows"},
			picture.Entry{Word: "budget", Text: "the demo sets no reserve: a queue's own default keeps some units back, which are never granted"},
			picture.Entry{Word: "timeline", Text: "each IDENTIFY, by shard and pod; the line behind it is its window, the upright one is now"}),
	}
	if left := s.Remaining - s.Spent; s.Owed+s.Left > left {
		screen.Rows = append(screen.Rows, picture.Row{Label: "short", Fields: picture.Short(left, s.Owed+s.Left, s.queue.Budget.Reset, s.queue.Time)})
	}
	screen.Rows = append(screen.Rows, picture.Trouble(s.queue)...)
	screen.Rows = append(screen.Rows, picture.Row{Label: "judge", Fields: judgeFields(s.verdict)})
	pods := picture.PodsRow(s.queue, "none waits")
	pods.Rank = 3
	screen.Rows = append(screen.Rows, pods)
	if s.trouble != nil {
		screen.Rows = append(screen.Rows, picture.Row{Label: "trouble", Fields: []picture.Field{{Text: cli.OneLine(s.trouble), Style: picture.Bad}}})
	}
	for _, command := range s.look {
		screen.About = append(screen.About, picture.Entry{Word: "look", Text: command})
	}
	return screen
}

// known is the queue as the flags have it until Redis says more.
func (s state) known() gatewayqueue.Status {
	q := s.queue
	if q.Epoch != "" || len(q.Buckets) > 0 {
		return q
	}
	q.Budget = gatewayqueue.BudgetStatus{Total: s.Total, Remaining: s.Remaining, MaxConcurrency: s.MaxConcurrency}
	q.Buckets = make([]gatewayqueue.BucketStatus, s.MaxConcurrency)
	for i := range q.Buckets {
		q.Buckets[i].Bucket = i
	}
	return q
}

// title says what runs.
func (c *config) title() []picture.Field {
	mode := c.Mode
	if c.Dial > 0 {
		mode += " + dial of " + cli.Short(c.Dial)
	}
	return []picture.Field{
		{Text: "demo: " + picture.Count(c.Shards, "shard"), Style: picture.Bold},
		{Text: picture.Count(c.Pods, "pod")},
		{Text: fmt.Sprintf("max_concurrency %d", c.MaxConcurrency), Rank: 1},
		{Text: fmt.Sprintf("window %v + %v", cli.Short(c.Window), cli.Short(c.Margin)), Rank: 2},
		{Text: mode, Rank: 3},
	}
}

func plainText(fields []picture.Field) string {
	var words []string
	for _, f := range fields {
		words = append(words, f.Text)
	}
	return strings.Join(words, ", ")
}

func (s state) upFields() []picture.Field {
	fields := []picture.Field{{Text: fmt.Sprintf("%d of %d up", s.Up, s.Shards)}}
	if s.Refused > 0 {
		fields = append(fields, picture.Field{Text: fmt.Sprintf("%d refused", s.Refused), Style: picture.Bad})
	}
	if s.Failed > 0 {
		fields = append(fields, picture.Field{Text: fmt.Sprintf("%d failed", s.Failed), Style: picture.Bad})
	}
	return fields
}

// waiting is how many shards have neither identified nor given up.
func (p progress) waiting() (n int) {
	for _, missing := range p.Missing {
		n += missing
	}
	return n
}

// timeFields are how long it takes: so far, as it looks now, and at best.
func (s state) timeFields() []picture.Field {
	fields := []picture.Field{{Text: picture.Seconds(s.Elapsed)}}
	known := !s.queue.Time.IsZero() || len(s.marks) > 0 // else nothing says whether the buckets are open
	if known && s.waiting() > 0 && s.Owed <= s.Remaining-s.Spent {
		fields[0].Text += " of about " + picture.Seconds(s.Elapsed+s.toGo())
	}
	return append(fields, picture.Field{Text: picture.Seconds(s.ideal()) + " is the least that Discord allows", Style: picture.Dim, Rank: 2})
}

// toGo estimates when the last shard will be up. The pods' marks are newer than the queue's status: a bucket whose window
// they have begun is closed for the rest of it, and its permit has been used.
func (s state) toGo() time.Duration {
	q := s.queue
	q.Buckets = slices.Clone(q.Buckets)
	for _, m := range s.marks {
		if left := m.At + s.step() - s.Elapsed; left > 0 && m.Bucket < len(q.Buckets) {
			q.Buckets[m.Bucket].Closed, q.Buckets[m.Bucket].Permit = left, false
		}
	}
	return q.Drained(s.step(), func(b gatewayqueue.BucketStatus) int {
		if b.Bucket >= len(s.Missing) {
			return 0
		}
		missing := s.Missing[b.Bucket]
		if b.Permit { // one of them has the slot
			missing--
		}
		return missing
	})
}

// ideal is the time of a bring-up with nothing between the windows.
func (c *config) ideal() time.Duration {
	deepest := (c.Shards + c.MaxConcurrency - 1) / c.MaxConcurrency
	return time.Duration(deepest-1) * c.Window
}

func judgeFields(v gatewaytest.Verdict) []picture.Field {
	fields := []picture.Field{{Text: "no violations", Style: picture.Good}}
	if !v.OK() {
		fields = []picture.Field{{Text: fmt.Sprintf("%s, %d over budget", picture.Count(v.Violations, "violation"), v.OverBudget), Style: picture.Bad}}
	}
	if v.LeastGap > 0 {
		fields = append(fields, picture.Field{Text: fmt.Sprintf("least gap %.3f s", v.LeastGap.Seconds()), Style: picture.Dim, Rank: 1})
	}
	return fields
}

// drawTimeline draws a run that is to last for total, now being at elapsed.
func drawTimeline(t picture.Timeline, total, elapsed, window time.Duration, width, lines int) []string {
	t.Now = elapsed
	t.From, t.To = picture.Whole(elapsed, total, window, width)
	return t.Draw(width, lines)
}

// textTimeline is a drawing of --plot as text.
func textTimeline(t timeline.Timeline, window time.Duration) picture.Timeline {
	text := picture.Timeline{Buckets: t.Buckets, Pods: t.Pods}
	for _, m := range t.Marks {
		text.Marks = append(text.Marks, picture.Mark{Shard: m.Shard, Bucket: m.Bucket, Pod: m.Pod, At: m.At, Until: m.At + window, Bad: m.Violation})
	}
	for _, m := range t.Moments {
		text.Moments = append(text.Moments, picture.Moment{At: m.At, Text: m.Text})
	}
	return text
}
