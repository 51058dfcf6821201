// What is shown while the demo runs: a live view, or lines.

package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// screen shows a run. Its methods may be called from any goroutine.
type screen interface {
	begin(*ledger)
	shard(event, progress) // it has identified, or failed
	note(string)           // something worth a line
	end()                  // shows the last state
}

func newScreen(c config, out io.Writer, judge *gatewaytest.Judge, w *watch, cancel context.CancelCauseFunc) screen {
	if c.Plain || !picture.IsTerminal(out) {
		return &lines{config: c, out: out}
	}
	v := &view{config: c, judge: judge, watch: w, ended: make(chan struct{})}
	v.live = picture.NewLive(out, picture.Below, v.draw, func(bool) { cancel(cli.Interrupted) })
	return v
}

// lines is a screen for files, pipes and logs.
type lines struct {
	config
	mu     sync.Mutex
	out    io.Writer
	ledger *ledger
}

func (l *lines) begin(ledger *ledger) {
	l.ledger = ledger
}

func (l *lines) shard(e event, p progress) {
	what := fmt.Sprintf("identified, %d of %d up", p.Up, l.Shards)
	switch {
	case e.Kind == failed:
		what = "gave up: " + e.Error
	case !e.Ruling.Accepted:
		what = "REFUSED by the judge: " + refusal(*e.Ruling)
	}
	l.print(fmt.Sprintf("%8.3f s  bucket %-3d %-7s shard %-3d %s",
		p.Elapsed.Seconds(), e.Shard%l.MaxConcurrency, e.Pod, e.Shard, what))
}

func (l *lines) note(text string) {
	l.print(fmt.Sprintf("%8.3f s  %s", l.ledger.now().Elapsed.Seconds(), text))
}

func (l *lines) end() {}

func (l *lines) print(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.out, text) // A closed pipe ends the program by itself.
}

// refusal is why the judge would not have an identify.
func refusal(r gatewaytest.Ruling) string {
	if r.Over {
		return "over budget"
	}
	return fmt.Sprintf("only %v after the one before", r.Gap.Round(time.Millisecond))
}

// title says what runs.
func (c *config) title() string {
	what := []string{
		picture.Count(c.Shards, "shard"), picture.Count(c.Pods, "pod"),
		fmt.Sprintf("max_concurrency %d", c.MaxConcurrency),
		fmt.Sprintf("window %v + %v", cli.Short(c.Window), cli.Short(c.Margin)),
		c.Mode,
	}
	if c.Dial > 0 {
		what[4] += " + dial of " + cli.Short(c.Dial)
	}
	return strings.Join(what, ", ")
}

// intro is what runs, and how to look at it from another terminal.
func (c *config) intro(redis *store.Store) []string {
	lines := []string{"gatewayqueue demo: " + c.title()}
	if redis.Embedded() { // it has this one application only
		lines = append(lines,
			"Redis is embedded, application "+c.App+". Meanwhile, look with:",
			"  redis-cli -u "+redis.String()+" --scan")
	} else {
		lines = append(lines,
			"Redis at "+redis.String()+", application "+c.App+". Meanwhile, look with:",
			"  redis-cli -u "+redis.String()+" --scan --pattern '"+store.Pattern(c.App)+"'",
			"  scripts/inspect --app "+c.App+" -u "+redis.String())
	}
	return append(lines, "  gatewayqueue status --redis "+redis.String()+" --app "+c.App+" --watch", "")
}
