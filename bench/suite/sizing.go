package suite

// What a fleet takes of Redis: the table of docs/sizing.md.

import (
	"fmt"
	"time"

	"github.com/gatewayqueue/gatewayqueue/bench/report"
	"github.com/gatewayqueue/gatewayqueue/bench/server"
	"github.com/gatewayqueue/gatewayqueue/bench/sizing"
)

// SizingTitle is the section of docs/sizing.md that scripts/bench --sizing writes.
const SizingTitle = "Measured"

// Sizing measures fleets, one after the other. It needs no runs in turn: it compares
// with nobody.
func (s *Suite) Sizing(fleets []sizing.Fleet) (Section, error) {
	redis, err := server.Version()
	if err != nil {
		return Section{}, err
	}
	section := Section{Title: SizingTitle, Text: fmt.Sprintf("By `scripts/bench --sizing`, in three minutes, on %s; %s. All shards of a fleet start at once and take permits, with a dial of "+
		"0.3 s, Discord's window and `WithHistory`. Counts, bytes and CPU times: they depend little on what else the machine does.", report.Machine(), redis)}
	start := report.Table{Head: []string{"shards", "max_concurrency", "pods", "all are up after", "keys, while all wait", "bytes per waiter", "used_memory more by", "bytes per identify, until the reset", "connections per pod"}}
	load := report.Table{Head: []string{"shards", "max_concurrency", "to stand in line: commands", "Redis CPU", "KiB", "coming up: grants / s", "commands / s", "% of a core", "KiB / s", "CPU / grant", "running: commands / s"}}
	for _, f := range fleets {
		r, err := sizing.Measure(f, s.Log)
		if err != nil {
			return section, err
		}
		shards, buckets := fmt.Sprint(f.Shards), fmt.Sprint(f.MaxConcurrency)
		start.Rows = append(start.Rows, []string{
			shards, buckets, fmt.Sprint(f.Pods), r.Takes.Round(time.Second).String(), kilobytes(r.Data), fmt.Sprintf("%.0f", r.Waiter), kilobytes(r.Used),
			fmt.Sprintf("%.0f", r.Granted), fmt.Sprintf("%.1f", float64(r.Conns)/float64(f.Pods)),
		})
		cpu := func(p sizing.Phase) time.Duration { // less what an idle server uses
			return max(0, p.CPU-time.Duration(s.idle*float64(p.Elapsed)))
		}
		over := r.Up.Elapsed.Seconds()
		load.Rows = append(load.Rows, []string{
			shards, buckets, fmt.Sprintf("%.0f", r.Arrival.Calls), cpu(r.Arrival).Round(time.Millisecond).String(), fmt.Sprintf("%.0f", r.Arrival.Bytes/1024),
			fmt.Sprintf("%.1f", r.Up.Grants/over), fmt.Sprintf("%.1f", r.Up.Calls/over), fmt.Sprintf("%.1f", 100*cpu(r.Up).Seconds()/over), fmt.Sprintf("%.0f", r.Up.Bytes/1024/over),
			(cpu(r.Up) / time.Duration(max(1, r.Up.Grants))).Round(10 * time.Microsecond).String(), fmt.Sprintf("%.1f", r.Idle.Calls/r.Idle.Elapsed.Seconds()),
		})
	}
	section.Tables = []report.Table{start, load}
	section.Notes = fmt.Sprintf("`used_memory` counts the buffers of connections and the scripts as well. The CPU time is that of Redis, less the %.1f %% of a core that it uses with nobody asking. "+
		"With one bucket a grant carries the beats of all pods that wait: look at the percentage instead. *Running*: all are up; with `WithHistory` a pod sends one command more, "+
		"at the end of a minute in which it was granted anything.", 100*s.idle)
	return section, nil
}

func kilobytes(bytes float64) string { return fmt.Sprintf("%.0f KB", bytes/1e3) }
