// What happens to a fleet in its life, one thing after the other, and what is
// demanded of it.

package libraries

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/e2e/report"
)

// life is how it went.
type life struct {
	cold, resumed, resumedBesideLine, restart, line time.Duration
	identifies, violations                          int
	leastGap                                        time.Duration
}

// lifeHead is the head of a table of lives.
const lifeHead = `| library | cold start: ready | op 7 to all: resumed | op 7 while a shard stands in line: resumed | restart of all gateways: ready | 76 s in line, then severed, servers rolled and killed: ready | identifies = units | violations | least gap |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
`

func (l life) cells() string {
	var cells []string
	for _, took := range []time.Duration{l.cold, l.resumed, l.resumedBesideLine, l.restart, l.line} {
		cells = append(cells, fmt.Sprintf("%.1f s", took.Seconds()))
	}
	return fmt.Sprintf("%s | %d | %d | %.3f s", strings.Join(cells, " | "), l.identifies, l.violations, l.leastGap.Seconds())
}

// live takes a fleet through its life.
func (f *fleet) live(t *testing.T) (l life) {
	t.Helper()
	expected := f.shards // identifies so far
	begun := time.Now()
	lap := func(what string) time.Duration {
		took := time.Since(begun)
		t.Logf("%5.1f s %s: %v", took.Seconds(), what, f.discord.Judge().Verdict())
		return took
	}

	f.startBots(t)
	f.allReady(t)
	l.cold = lap("cold start")
	f.judge(t, expected)

	begun = time.Now()
	before := f.discord.Resumes()
	require.Equal(t, f.shards, f.discord.Reconnect())
	f.until(t, "all resumed", func() bool { return f.discord.Resumes() == before+f.shards })
	f.allReady(t)
	l.resumed = lap("op 7 to all")
	f.judge(t, expected)

	l.resumedBesideLine = f.resumeBesideLine(t)
	expected++
	f.judge(t, expected)

	begun = time.Now()
	f.discord.Restart()
	expected += f.shards
	f.until(t, "all have identified again", func() bool { return f.discord.Judge().Verdict().Identifies >= expected })
	f.allReady(t)
	l.restart = lap("restart of all gateways")
	f.judge(t, expected)

	begun = time.Now()
	f.standInLine(t)
	expected += f.shards
	f.until(t, "all have identified again", func() bool { return f.discord.Judge().Verdict().Identifies >= expected })
	f.allReady(t)
	l.line = lap(fmt.Sprintf("%v in line, severed, servers rolled and killed", f.line))
	f.judge(t, expected)

	verdict := f.discord.Judge().Verdict()
	l.identifies, l.violations, l.leastGap = verdict.Identifies, verdict.Violations, verdict.LeastGap
	assert.Zero(t, f.discord.Stats().IdentifiesInVain, "none on a connection that had ended")
	return l
}

// aloneHead is the head of a table of what libraries do without the queue.
const aloneHead = `| library | cold start: violations | identifies | all ready after | restart of all gateways: violations | identifies | all ready after |
|---|---:|---:|---:|---:|---:|---:|
`

// liveAlone is a start and a restart without the queue.
func (f *fleet) liveAlone(t *testing.T) string {
	t.Helper()
	f.startBots(t)
	cold := report.Watch(t.Context(), f.discord, f.shards, patience)
	cells := cold.Cells(f.shards) + " | "
	if cold.Over > 0 {
		return cells + report.NoCells
	}
	f.discord.Restart()
	again := report.Watch(t.Context(), f.discord, f.shards, patience)
	t.Log(cells + again.Cells(f.shards))
	for i, bot := range f.bots {
		select {
		case <-bot.ended:
			t.Logf("bot %d had ended: %s", i, bot.said())
		default:
		}
	}
	return cells + again.Cells(f.shards)
}

// resumeBesideLine has one shard stand in line while all others reconnect: they
// resume at once.
func (f *fleet) resumeBesideLine(t *testing.T) time.Duration {
	t.Helper()
	held := f.hold(t)
	require.Equal(t, 1, f.discord.Invalidate(false, 0))
	f.until(t, "shard 0 stands in line", func() bool { return f.waiting(t) >= 1 })
	before, begun := f.discord.Resumes(), time.Now()
	require.Equal(t, f.shards-1, f.discord.Reconnect())
	f.until(t, "all others have resumed", func() bool { return f.discord.Resumes() == before+f.shards-1 })
	took := time.Since(begun)
	t.Logf("%5.1f s to resume beside a shard in line", took.Seconds())
	held.release(t)
	f.allReady(t)
	return took
}

// standInLine ends all sessions and has all shards stand in line for long; then
// their connections are severed, servers are replaced, and all stand in line again.
func (f *fleet) standInLine(t *testing.T) {
	t.Helper()
	held := f.hold(t)
	held.twice(t)
	f.discord.Restart()
	f.until(t, "all stand in line", func() bool { return f.waiting(t) >= f.shards+f.buckets })
	stats := f.discord.Stats()
	time.Sleep(f.plan.line)
	lasted := f.discord.Stats()
	assert.Equal(t, stats.Timeouts, lasted.Timeouts, "no connection is closed for want of heartbeats")
	assert.Equal(t, stats.Connections, lasted.Connections, "no connection is lost in line")

	held.renew(t)

	f.discord.Drop(true)
	f.replaceServer(t, 0, syscall.SIGTERM)
	f.until(t, "all have dialled again", func() bool { return f.discord.Stats().Connections >= lasted.Connections+f.shards })
	f.replaceServer(t, 1, syscall.SIGKILL)
	f.until(t, "all stand in line again", func() bool { return f.waiting(t) >= f.shards })
	held.release(t)
}

func (f *fleet) allReady(t *testing.T) {
	t.Helper()
	f.until(t, "all are ready", func() bool { return len(f.discord.ReadyShards()) == f.shards })
}

// judge demands no violation, and one unit for each IDENTIFY that reached Discord.
func (f *fleet) judge(t *testing.T, identifies int) {
	t.Helper()
	verdict := f.discord.Judge().Verdict()
	if !assert.True(t, verdict.OK(), "%v", verdict) || !assert.Equal(t, identifies, verdict.Identifies, "%v", verdict) ||
		!assert.Equal(t, identifies, f.units(t), "units of the budget") {
		f.describe(t)
		t.FailNow()
	}
}
