// The picture of a snapshot, and how it is kept fresh.

package status

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
)

// draw is the queue, and what there is besides buckets. height 0 is no limit.
func draw(s snapshot, width, height int) []string {
	lines := []string{
		picture.Row("queue", picture.Bold.Render(s.App)+picture.Dim(fmt.Sprintf("  max_concurrency %d, %s, at %s",
			s.Budget.MaxConcurrency, pods(s.Status), s.Time.Local().Format(time.TimeOnly))), width),
		picture.Row("waiting", waiting(s.Status), width),
	}
	if s.Replica {
		lines = append(lines, picture.Row("Redis", picture.Bad("a replica: it grants nothing, and what it shows may be late"), width))
	}
	frame := picture.Frame{Width: width, Window: gatewayqueue.IdentifyDelay + gatewayqueue.GrantMargin}
	if height > 0 {
		frame.Lines = max(1, height-len(lines)-2) // the budget, and a blank line
	}
	return append(lines, picture.Queue(s.Status, frame)...)
}

func pods(s gatewayqueue.Status) string {
	switch len(s.Pods) {
	case 0:
		return "no pods waiting"
	case 1:
		return "1 pod"
	}
	return fmt.Sprintf("%d pods", len(s.Pods))
}

func waiting(s gatewayqueue.Status) string {
	n := s.Waiting()
	if n == 0 {
		return "nobody"
	}
	last := picture.Drained(s, gatewayqueue.IdentifyDelay+gatewayqueue.GrantMargin,
		func(b gatewayqueue.BucketStatus) int { return b.Waiting })
	text := fmt.Sprintf("%d in line", n)
	if s.Budget.Unknown || s.Budget.Remaining < n {
		return text + picture.Bad(", more than the budget has left")
	}
	return text + picture.Dim(", the last one gets its turn in about "+picture.Seconds(last))
}

var errEnough = errors.New("the user has seen enough")

// watch shows a live picture until ctx ends or the user has seen enough.
func watch(parent context.Context, out io.Writer, c config, look func() (snapshot, error)) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	type seen struct {
		status snapshot
		at     time.Time
		err    error
	}
	first, err := look() // an error that is there from the start ends the command
	if err != nil {
		return err
	}
	var last atomic.Pointer[seen]
	last.Store(&seen{status: first, at: time.Now()})
	live := picture.NewLive(out, picture.WholeTerminal, func(width, height int) []string {
		now := last.Load()
		var trouble []string
		if now.err != nil {
			trouble = []string{picture.Row("Redis", picture.Bad(cli.OneLine(now.err)), width)}
		}
		later := snapshot{picture.Later(now.status.Status, time.Since(now.at)), now.status.Replica}
		return append(draw(later, width, height-len(trouble)), trouble...)
	}, func(enough bool) {
		if enough {
			cancel(errEnough)
		} else {
			cancel(cli.Interrupted)
		}
	})

	go func() {
		_ = repeat(ctx, c.Watch, func() error { // It ends with ctx.
			s, err := look()
			if next := *last.Load(); err != nil { // Redis is away: show what was there
				next.err = err
				last.Store(&next)
			} else {
				last.Store(&seen{status: s, at: time.Now()})
			}
			return nil
		})
		live.Stop()
	}()
	if err := live.Run(); err != nil {
		return err
	}
	if cause := context.Cause(ctx); !errors.Is(cause, errEnough) {
		return cause
	}
	return nil
}
