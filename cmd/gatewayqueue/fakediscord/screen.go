// What is shown while it runs: a live view, lines, or nothing.

package fakediscord

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// screen shows a run.
type screen interface {
	line(at time.Duration, shard int, text string, bad bool) // something has happened
	end(follow int)                                          // shows the last state; so many lines are to follow
}

func newScreen(c *config, out io.Writer, intro []string, server *gatewaytest.Server, cancel context.CancelCauseFunc) screen {
	switch {
	case c.JSON:
		return silence{}
	case c.Plain || c.Verbose || !picture.IsTerminal(out):
		return lines{out}
	}
	v := &view{config: c, addresses: addresses(intro), server: server, began: time.Now(), ended: make(chan struct{})}
	v.live = picture.NewLive(out, v.screen, func(bool) { cancel(cli.Interrupted) })
	go func() {
		defer close(v.ended)
		_ = v.live.Run() // The server goes on without a view.
	}()
	return v
}

type silence struct{}

func (silence) line(time.Duration, int, string, bool) {}
func (silence) end(int)                               {}

// lines is a screen for files, pipes and logs.
type lines struct{ out io.Writer }

func (l lines) line(at time.Duration, shard int, text string, _ bool) {
	fmt.Fprintf(l.out, "%9.3f s  %s  %s\n", at.Seconds(), shardText(shard), printable.Text(text)) // A closed pipe ends the program by itself.
}

func (lines) end(int) {}

// addresses are the lines of the intro that say where a bot finds what.
func addresses(intro []string) (lines []string) {
	for _, line := range intro[1:] {
		if line == "" {
			break // the authority, which is said once
		}
		lines = append(lines, line)
	}
	return lines
}

func shardText(shard int) string {
	if shard < 0 {
		return "no shard "
	}
	return fmt.Sprintf("shard %-3d", shard)
}
