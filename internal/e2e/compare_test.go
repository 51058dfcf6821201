// The same workload with other ways to keep IDENTIFYs apart, at Discord's own
// pace: the table in docs/libraries-compared.md. Run it by scripts/e2e compare.

package e2e

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
)

// tableVar names the file that the table is written to.
const tableVar = "GATEWAYQUEUE_E2E_TABLE"

// patience is how long a fleet may take to come up, before that is its result.
const patience = 5 * time.Minute

var contestants = []struct{ library, limiter, how string }{
	{"disgo", limiterOwn, "disgo alone: its limiter, one per pod"},
	{"disgo", limiterPoller, "disgo, `SET NX PX 5000` polled every 500 ms"},
	{"disgo", limiterWait, "disgo, our `Wait` (default margin, 250 ms)"},
	{"disgo", limiterWaitLong, "disgo, our `Wait` with `WithMargin(1500 * time.Millisecond)`"},
	{"disgo", limiterAcquire, "disgo, `disgoqueue` without its dialer (`Acquire`, window from READY)"},
	{"disgo", limiterPermits, "disgo, `disgoqueue` with its dialer (`Acquire`, window from IDENTIFY)"},
	{"discordgo", limiterOwn, "discordgo alone: `Open`, 5 s pause, next shard, in each pod"},
	{"discordgo", limiterPermits, "discordgo, `discordgoqueue`"},
}

// phase is how one thing went that happened to a fleet.
type phase struct {
	took                  time.Duration
	ready                 int
	identifies, early     int
	over, invalidSessions int
}

func TestCompare(t *testing.T) {
	path := os.Getenv(tableVar)
	if path == "" {
		t.Skip("takes 10 minutes: scripts/e2e compare")
	}
	var mu sync.Mutex
	rows := make([]string, len(contestants))
	t.Run("contestants", func(t *testing.T) {
		for i, c := range contestants {
			t.Run(c.library+"/"+c.limiter, func(t *testing.T) {
				t.Parallel()
				p := fleetPlan(c.library)
				p.limiter, p.window = c.limiter, gatewayqueue.IdentifyDelay
				f := newFleet(t, p)
				cold := f.phase(t)
				f.gateway.Restart()
				again := f.phase(t)
				mu.Lock()
				defer mu.Unlock()
				rows[i] = fmt.Sprintf("| %s | %s | %s |", c.how, cold.cells(f.shards), again.cells(f.shards))
				t.Log(rows[i])
				for _, p := range f.pods {
					p.kill(t)
				}
			})
		}
	})
	head := `| | cold start: violations | identifies | all ready after | restart of all gateways: violations | identifies | all ready after |
|---|---:|---:|---:|---:|---:|---:|
`
	require.NoError(t, replaceTable(path, head+strings.Join(rows, "\n")+"\n"))
}

// phase waits until the fleet is up, and counts what that took.
func (f *fleet) phase(t *testing.T) phase {
	before, invalid, start := f.gateway.Judge().Verdict(), f.gateway.InvalidSessions(), time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_ = f.gateway.WaitReady(ctx, f.shards) // how many are ready is the result
	after := f.gateway.Judge().Verdict()
	return phase{
		took: time.Since(start), ready: len(f.gateway.ReadyShards()),
		identifies: after.Identifies - before.Identifies, early: after.Violations - before.Violations,
		over: after.OverBudget - before.OverBudget, invalidSessions: f.gateway.InvalidSessions() - invalid,
	}
}

func (p phase) cells(shards int) string {
	up := fmt.Sprintf("%.0f s", p.took.Seconds())
	if p.ready < shards {
		up = fmt.Sprintf("never: %d of %d after %.0f s", p.ready, shards, p.took.Seconds())
	}
	identifies := fmt.Sprint(p.identifies)
	if p.over > 0 {
		identifies += fmt.Sprintf(", %d over the budget: **token lost**", p.over)
	}
	return fmt.Sprintf("%d | %s | %s", p.early, identifies, up)
}

// replaceTable puts a table between the marks in a document.
func replaceTable(path, table string) error {
	const begin, end = "<!-- table: begin -->\n", "<!-- table: end -->\n"
	doc, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(doc), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no marks for the table", path)
	}
	return os.WriteFile(path, []byte(before+begin+"\n"+table+"\n"+end+after), 0o644) //nolint:gosec // a document
}
