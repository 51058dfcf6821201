// The live view.

package demo

import (
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// view is a screen that moves.
type view struct {
	config
	live   *picture.Live
	ledger *ledger
	judge  *gatewaytest.Judge
	watch  *watch
	ended  chan struct{}
}

func (v *view) begin(l *ledger) {
	v.ledger = l
	go func() {
		defer close(v.ended)
		_ = v.live.Run() // The run goes on without a view.
	}()
}

func (v *view) shard(event, progress) {} // the next frame shows it

func (v *view) note(text string) {
	v.live.Println(fmt.Sprintf(" %s  %s", picture.Dim(picture.Seconds(v.ledger.now().Elapsed)), text))
}

func (v *view) end() {
	v.live.Stop()
	<-v.ended
}

// draw is one frame.
func (v *view) draw(width, height int) []string {
	p, seen := v.ledger.now(), v.watch.now()
	frame := picture.Frame{Width: width, Window: v.closes()}
	lines := []string{
		picture.Row("shards", picture.Bar(float64(p.Up)/float64(v.Shards), width)+"  "+v.upText(p), width),
		picture.Row("time", v.timeText(p, seen.status), width),
		picture.Row("judge", v.judgeText(), width),
	}
	if seen.err != nil {
		lines = append(lines, picture.Row("Redis", picture.Bad(cli.OneLine(seen.err)), width))
	}
	frame.Lines = height - len(lines) - 2 // the budget, and a blank line
	return append(lines, picture.Queue(seen.status, frame)...)
}

func (v *view) upText(p progress) string {
	text := fmt.Sprintf("%d of %d up", p.Up, v.Shards)
	if p.Refused > 0 {
		text += picture.Bad(fmt.Sprintf(", %d refused", p.Refused))
	}
	if p.Failed > 0 {
		text += picture.Bad(fmt.Sprintf(", %d gave up", p.Failed))
	}
	return text
}

// timeText is how long it takes: so far, as it looks now, and at best.
func (v *view) timeText(p progress, s gatewayqueue.Status) string {
	text := picture.Seconds(p.Elapsed)
	if p.Up+p.Refused+p.Failed < v.Shards {
		text += picture.Bold.Render(" of about " + picture.Seconds(p.Elapsed+v.toGo(p, s)))
	}
	return text + picture.Dim(", "+picture.Seconds(v.ideal())+" is the least that Discord allows")
}

// toGo estimates when the last shard will be up.
func (v *view) toGo(p progress, s gatewayqueue.Status) time.Duration {
	return picture.Drained(s, v.step(), func(b gatewayqueue.BucketStatus) int {
		if b.Bucket >= len(p.Missing) {
			return 0
		}
		missing := p.Missing[b.Bucket]
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

func (v *view) judgeText() string {
	verdict := v.judge.Verdict()
	text := picture.Good("no violations")
	if !verdict.OK() {
		text = picture.Bad(fmt.Sprintf("%s, %d over budget", picture.Count(verdict.Violations, "violation"), verdict.OverBudget))
	}
	if verdict.LeastGap > 0 {
		text += picture.Dim(fmt.Sprintf(", least gap %.3f s", verdict.LeastGap.Seconds()))
	}
	return text
}
