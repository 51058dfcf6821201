// Package report is what the comparisons of bot libraries write into the docs.
package report

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
)

// Phase is how one thing went that happened to a fleet.
type Phase struct {
	Took              time.Duration
	Ready             int // shards, at its end
	Identifies, Early int
	Over              int
}

// Watch waits until so many shards of a server are ready, or patience is over, or
// the token is lost, and counts what that took.
func Watch(ctx context.Context, server *gatewaytest.Server, shards int, patience time.Duration) Phase {
	before, start := server.Judge().Verdict(), time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	go func() {
		for ctx.Err() == nil && server.Stats().Disasters == 0 {
			time.Sleep(100 * time.Millisecond)
		}
		cancel()
	}()
	_ = server.WaitReady(ctx, shards) // how many are ready is the result
	after := server.Judge().Verdict()
	return Phase{
		Took: time.Since(start), Ready: len(server.ReadyShards()),
		Identifies: after.Identifies - before.Identifies, Early: after.Violations - before.Violations,
		Over: after.OverBudget - before.OverBudget,
	}
}

// Cells are three cells of a table: violations, identifies, and when all shards
// were ready.
func (p Phase) Cells(shards int) string {
	up := fmt.Sprintf("%.0f s", p.Took.Seconds())
	if p.Ready < shards {
		up = fmt.Sprintf("never: %d of %d after %.0f s", p.Ready, shards, p.Took.Seconds())
	}
	identifies := fmt.Sprint(p.Identifies)
	if p.Over > 0 {
		identifies += fmt.Sprintf(", %d over the budget: **token lost**", p.Over)
	}
	return fmt.Sprintf("%d | %s | %s", p.Early, identifies, up)
}

// NoCells are the three of a phase that nobody could begin, since the token was lost.
const NoCells = "- | - | -"

// Replace puts a table between the marks of that name in a document.
func Replace(path, name, table string) error {
	begin, end := "<!-- "+name+": begin -->\n", "<!-- "+name+": end -->\n"
	doc, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(doc), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no marks for the table %q", path, name)
	}
	return os.WriteFile(path, []byte(before+begin+"\n"+table+"\n"+end+after), 0o644) //nolint:gosec // a document
}
