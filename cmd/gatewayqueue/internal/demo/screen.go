// What is shown while the demo runs: a live view, or lines.

package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// screen shows a run. Its methods may be called from any goroutine.
type screen interface {
	begin(*ledger)
	shard(event, progress) // it has identified, or failed
	note(string)           // something worth a line
	moment(string)         // something that the timeline shows
	end()                  // before the summary; more than once is harmless
	// summary shows what stays; so many lines are to follow.
	summary(s picture.Screen, follow int) error
}

func newScreen(c config, out io.Writer, judge *gatewaytest.Judge, w *watch, redis *store.Store, cancel context.CancelCauseFunc) screen {
	look := c.look(redis)
	if c.Plain || !picture.IsTerminal(out) {
		return &lines{config: c, out: out, look: look}
	}
	v := &view{config: c, judge: judge, watch: w, look: look, ended: make(chan struct{})}
	v.notes = append(v.notes, "look: "+look[len(look)-1])
	v.live = picture.NewLive(out, v.screen, stopper(cancel))
	return v
}

// lines is a screen for files, pipes and logs.
type lines struct {
	config
	mu     sync.Mutex
	out    io.Writer
	ledger *ledger
	look   []string // commands for another terminal
}

func (l *lines) begin(ledger *ledger) {
	l.ledger = ledger
	l.print("gatewayqueue " + plainText(l.title()))
	l.print("Meanwhile, look with:")
	for _, command := range l.look {
		l.print("  " + command)
	}
	if l.Remaining < l.Shards {
		l.print("The budget is short: " + plainText(picture.Short(l.Remaining, l.Shards, time.Time{}, time.Time{})) + ".")
	}
	l.print("")
}

func (l *lines) shard(e event, p progress) {
	what := fmt.Sprintf("identified, %d of %d up", p.Up, l.Shards)
	switch {
	case e.Kind == failed && e.Exhausted:
		what = "must wait for the reset: " + e.Error
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

func (*lines) moment(string) {} // a note says it

func (*lines) end() {}

func (l *lines) summary(s picture.Screen, _ int) error {
	width, _ := picture.Size(l.out)
	lines, _ := picture.Draw(s, picture.View{}, width, 0)
	_, err := picture.Fprintln(l.out, "\n"+strings.Join(lines, "\n"))
	return err
}

func (l *lines) print(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.out, printable.Text(text)) // A closed pipe ends the program by itself.
}

// refusal is why the judge would not have an identify.
func refusal(r gatewaytest.Ruling) string {
	if r.Over {
		return "over budget"
	}
	return fmt.Sprintf("only %v after the one before", r.Gap.Round(time.Millisecond))
}

// look are commands that show the same from another terminal; the last is the
// program's own.
func (c *config) look(redis *store.Store) []string {
	look := []string{"redis-cli -u " + redis.String() + " --scan"}
	if !redis.Embedded() { // others may use it, too
		look = []string{
			"redis-cli -u " + redis.String() + " --scan --pattern '" + store.Pattern(c.App) + "'",
			"scripts/inspect --app " + c.App + " -u " + redis.String(),
		}
	}
	status := "gatewayqueue status --watch --redis " + redis.String()
	if !redis.Embedded() {
		status += " --app " + c.App
	}
	return append(look, status)
}
