// The same workload with other ways to keep IDENTIFYs apart, at Discord's own
// pace: the table in docs/libraries-compared.md. Run it by scripts/e2e compare.

package e2e

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/e2e/report"
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
				cold := report.Watch(t.Context(), f.gateway, f.shards, patience)
				again := report.NoCells
				if cold.Over == 0 {
					f.gateway.Restart()
					again = report.Watch(t.Context(), f.gateway, f.shards, patience).Cells(f.shards)
				}
				mu.Lock()
				defer mu.Unlock()
				rows[i] = fmt.Sprintf("| %s | %s | %s |", c.how, cold.Cells(f.shards), again)
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
	require.NoError(t, report.Replace(path, "table", head+strings.Join(rows, "\n")+"\n"))
}
