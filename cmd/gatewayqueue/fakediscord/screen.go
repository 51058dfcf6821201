// What is shown while it runs: a live view, lines, or nothing.

package fakediscord

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// screen shows a run.
type screen interface {
	line(at time.Duration, shard int, text string, bad bool) // something has happened
	end()                                                    // shows the last state
}

func newScreen(c *config, out io.Writer, server *gatewaytest.Server, cancel context.CancelCauseFunc) screen {
	switch {
	case c.JSON:
		return silence{}
	case c.Plain || c.Verbose || !picture.IsTerminal(out):
		return lines{out}
	}
	v := &view{config: c, server: server, began: time.Now(), ended: make(chan struct{})}
	v.live = picture.NewLive(out, picture.Below, v.draw, func(bool) { cancel(cli.Interrupted) })
	go func() {
		defer close(v.ended)
		_ = v.live.Run() // The server goes on without a view.
	}()
	return v
}

type silence struct{}

func (silence) line(time.Duration, int, string, bool) {}
func (silence) end()                                  {}

// lines is a screen for files, pipes and logs.
type lines struct{ out io.Writer }

func (l lines) line(at time.Duration, shard int, text string, _ bool) {
	fmt.Fprintf(l.out, "%9.3f s  %s  %s\n", at.Seconds(), shardText(shard), text) // A closed pipe ends the program by itself.
}

func (lines) end() {}

func shardText(shard int) string {
	if shard < 0 {
		return "no shard "
	}
	return fmt.Sprintf("shard %-3d", shard)
}

// view is a screen that moves; what was bad stays above it.
type view struct {
	config *config
	server *gatewaytest.Server
	live   *picture.Live
	began  time.Time
	ended  chan struct{}
}

func (v *view) line(at time.Duration, shard int, text string, bad bool) {
	if bad {
		v.live.Println(fmt.Sprintf(" %s  %s  %s", picture.Dim(picture.Seconds(at)), shardText(shard), picture.Bad(text)))
	}
}

func (v *view) end() {
	v.live.Stop()
	<-v.ended
}

// draw is one frame.
func (v *view) draw(width, height int) []string {
	verdict, limit := v.server.Judge().Verdict(), v.server.Judge().Limit()
	ready, shards := v.server.ReadyShards(), named(v.server.Shards())
	count := 0
	for _, one := range shards {
		if one.Shard >= 0 {
			count++
		}
	}
	frame := []string{
		picture.Row("shards", picture.Bar(float64(len(ready))/float64(max(1, count)), width)+fmt.Sprintf("  %d of %d ready", len(ready), count), width),
		picture.Row("judge", judgeText(verdict), width),
		picture.Row("budget", fmt.Sprintf("%d of %d left%s", limit.Remaining, limit.Total, picture.Dim(", all again in "+picture.Seconds(limit.ResetAfter))), width),
		picture.Row("time", picture.Seconds(time.Since(v.began)), width),
		"",
		picture.Dim(" " + row("shard", "state", "IDENTIFY", "READY", "RESUMED", "op 7", "op 9", "heartbeats", "connections")),
	}
	room := max(0, height-len(frame))
	for n, one := range shards {
		if n == room-1 && len(shards) > room {
			return append(frame, picture.Dim(fmt.Sprintf(" and %d more", len(shards)-n)))
		}
		if n == room {
			break
		}
		frame = append(frame, " "+v.shardRow(one, slices.Contains(ready, one.Shard)))
	}
	return frame
}

func (v *view) shardRow(r gatewaytest.ShardReport, ready bool) string {
	name, state := strconv.Itoa(r.Shard), picture.Bad(fmt.Sprintf("%-9s", "not ready"))
	switch {
	case r.Shard < 0:
		name, state = "-", fmt.Sprintf("%-9s", "unknown")
	case ready:
		state = picture.Good(fmt.Sprintf("%-9s", "ready"))
	}
	beats := r.Heartbeats.Early + r.Heartbeats.Waiting + r.Heartbeats.Starting + r.Heartbeats.Ready
	return row(name, state, r.Identifies, r.Readies, r.Resumes, r.Reconnects, r.InvalidSessions, beats, r.Connections)
}

func row(shard, state string, cells ...any) string {
	return fmt.Sprintf("%5s  %-9s %8v  %5v  %7v  %4v  %4v  %10v  %11v", append([]any{shard, state}, cells...)...)
}

func judgeText(v gatewaytest.Verdict) string {
	text := picture.Good("no violations")
	if !v.OK() {
		text = picture.Bad(fmt.Sprintf("%s, %d over budget", picture.Count(v.Violations, "violation"), v.OverBudget))
	}
	text += picture.Dim(", " + picture.Count(v.Identifies, "IDENTIFY"))
	if v.LeastGap > 0 {
		text += picture.Dim(fmt.Sprintf(", least gap %.3f s", v.LeastGap.Seconds()))
	}
	return text
}
