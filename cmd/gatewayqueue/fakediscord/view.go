// The live view: addresses, the judge, and each shard.

package fakediscord

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// view is a screen that moves.
type view struct {
	config    *config
	server    *gatewaytest.Server
	addresses []string // label and value, as the first lines have them
	live      *picture.Live
	began     time.Time
	ended     chan struct{}

	mu    sync.Mutex
	notes []string // what was bad
}

func (v *view) line(at time.Duration, shard int, text string, bad bool) {
	if bad {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.notes = append(v.notes, fmt.Sprintf("%s  %s  %s", picture.Seconds(at), strings.TrimSpace(shardText(shard)), text))
	}
}

// end leaves the last picture.
func (v *view) end(follow int) {
	v.live.Stop()
	<-v.ended
	_ = v.live.Leave(v.screen(), v.live.View(), follow) // The report follows, and fails as well if nobody reads it.
}

func (v *view) screen() picture.Screen {
	v.mu.Lock()
	notes := slices.Clone(v.notes)
	v.mu.Unlock()
	return state{
		config: v.config, addresses: v.addresses, verdict: v.server.Judge().Verdict(), limit: v.server.Judge().Limit(),
		ready: v.server.ReadyShards(), shards: named(v.server.Shards()), notes: notes, running: time.Since(v.began),
	}.screen()
}

// state is all that is known at a moment.
type state struct {
	config    *config
	addresses []string
	verdict   gatewaytest.Verdict
	limit     gatewayqueue.SessionStartLimit
	ready     []int
	shards    []gatewaytest.ShardReport
	notes     []string
	running   time.Duration
}

func (s state) screen() picture.Screen {
	count := 0
	for _, one := range s.shards {
		if one.Shard >= 0 {
			count++
		}
	}
	limit := s.limit
	budget := picture.Row{Label: "budget", Bar: picture.NewBar(float64(limit.Remaining) / float64(max(1, limit.Total))), Fields: []picture.Field{
		{Text: fmt.Sprintf("%d of %d left", limit.Remaining, limit.Total)}, {Text: "all again in " + picture.Seconds(limit.ResetAfter), Style: picture.Dim, Rank: 2},
	}}
	if limit.Remaining == 0 {
		budget.Bar.Style, budget.Fields[0].Style = picture.Bad, picture.Bad
	}
	screen := picture.Screen{
		Title: []picture.Field{
			{Text: "fake-discord", Style: picture.Bold}, {Text: fmt.Sprintf("max_concurrency %d", limit.MaxConcurrency)},
			{Text: fmt.Sprintf("window %v", s.config.Window), Rank: 1}, {Text: "for " + picture.Seconds(s.running), Style: picture.Dim, Rank: 2},
		},
		Table: s.table(), Notes: s.notes,
		About: []picture.Entry{
			{Word: "IDENTIFY", Text: "how many the shard has sent; what was too early, or over the budget, is told below"},
			{Word: "RESUMED", Text: "sessions that it has resumed"},
			{Word: "op 7", Text: "how often it was told to reconnect"},
			{Word: "op 9", Text: "how often its session was invalid: after an IDENTIFY that came too early, too"},
		},
	}
	for _, line := range s.addresses {
		label, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		screen.Rows = append(screen.Rows, picture.Row{Label: label, Fields: []picture.Field{{Text: strings.TrimSpace(value)}}, Rank: 1})
	}
	screen.Rows = append(screen.Rows,
		picture.Row{Label: "shards", Bar: picture.NewBar(float64(len(s.ready)) / float64(max(1, count))), Fields: []picture.Field{{Text: fmt.Sprintf("%d of %d ready", len(s.ready), count)}}},
		budget, picture.Row{Label: "judge", Fields: judgeFields(s.verdict)})
	return screen
}

func (s state) table() *picture.Table {
	isReady := make(map[int]bool)
	for _, shard := range s.ready {
		isReady[shard] = true
	}
	number := func(name string, rank int, of func(gatewaytest.ShardReport) int) picture.Column {
		return picture.Column{Name: name, Rank: rank, Right: true, Cell: func(i, _ int) string { return strconv.Itoa(of(s.shards[i])) }}
	}
	word := func(i int) string {
		switch one := s.shards[i]; {
		case one.Shard < 0:
			return "unknown"
		case isReady[one.Shard]:
			return "ready"
		}
		return "not ready"
	}
	name := func(i int) string {
		if s.shards[i].Shard < 0 {
			return "-"
		}
		return strconv.Itoa(s.shards[i].Shard)
	}
	more := func(of func(gatewaytest.ShardReport) int) func(x, y int) int {
		return func(x, y int) int { return cmp.Compare(of(s.shards[y]), of(s.shards[x])) }
	}
	identifies := func(r gatewaytest.ShardReport) int { return r.Identifies }
	return &picture.Table{
		Len: len(s.shards), Thing: "shard",
		Columns: []picture.Column{
			{Name: "shard", Right: true, Cell: func(i, _ int) string { return name(i) }},
			{Name: "state", Least: 9, Cell: func(i, _ int) string {
				switch text := word(i); text {
				case "ready":
					return picture.Good.Render(text)
				case "not ready":
					return picture.Bad.Render(text)
				default:
					return text
				}
			}},
			number("IDENTIFY", 0, identifies),
			number("READY", 3, func(r gatewaytest.ShardReport) int { return r.Readies }),
			number("RESUMED", 4, func(r gatewaytest.ShardReport) int { return r.Resumes }),
			number("op 7", 5, func(r gatewaytest.ShardReport) int { return r.Reconnects }),
			number("op 9", 1, func(r gatewaytest.ShardReport) int { return r.InvalidSessions }),
			number("heartbeats", 6, func(r gatewaytest.ShardReport) int {
				return r.Heartbeats.Early + r.Heartbeats.Waiting + r.Heartbeats.Starting + r.Heartbeats.Ready
			}),
			number("connections", 2, func(r gatewaytest.ShardReport) int { return r.Connections }),
		},
		Sorts: []picture.Sort{
			{Name: "shard", Compare: cmp.Compare[int]},
			{Name: "not ready", Compare: func(x, y int) int { return strings.Compare(word(x), word(y)) }},
			{Name: "IDENTIFY", Compare: more(identifies)},
		},
		Match: func(i int, text string) bool {
			if _, err := strconv.Atoi(text); err == nil {
				return name(i) == text
			}
			return strings.Contains(word(i), strings.ToLower(text))
		},
		Sum: func(rows []int) string {
			up := 0
			for _, i := range rows {
				if isReady[s.shards[i].Shard] {
					up++
				}
			}
			return fmt.Sprintf("%d ready", up)
		},
	}
}

func judgeFields(v gatewaytest.Verdict) []picture.Field {
	fields := []picture.Field{{Text: "no violations", Style: picture.Good}}
	if !v.OK() {
		fields = []picture.Field{{Text: fmt.Sprintf("%s, %d over budget", picture.Count(v.Violations, "violation"), v.OverBudget), Style: picture.Bad}}
	}
	fields = append(fields, picture.Field{Text: picture.Count(v.Identifies, "IDENTIFY"), Style: picture.Dim, Rank: 2})
	if v.LeastGap > 0 {
		fields = append(fields, picture.Field{Text: fmt.Sprintf("least gap %.3f s", v.LeastGap.Seconds()), Style: picture.Dim, Rank: 1})
	}
	return fields
}
