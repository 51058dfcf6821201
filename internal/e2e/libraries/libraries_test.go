package libraries

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewaytest"
	"github.com/gatewayqueue/gatewayqueue/internal/citest"
	"github.com/gatewayqueue/gatewayqueue/internal/e2e/report"
	"github.com/gatewayqueue/gatewayqueue/internal/e2e/unraced"
)

func TestMain(m *testing.M) {
	parallel := 2 * len(catalogue) // all at once: they mostly wait
	if os.Getenv(docsVar) != "" {
		parallel /= 4 // there is little slack
	}
	os.Exit(unraced.Run(m, parallel))
}

// docsVar names the directory of the docs, and has all be run and written there.
const docsVar = "GATEWAYQUEUE_E2E_LIBRARIES"

// selection is short enough for every run of the tests.
var selection = plan{
	shards: 6, processes: 2, buckets: 2, window: 3 * time.Second, slack: 500 * time.Millisecond, latency: 150 * time.Millisecond,
	heartbeat: 8 * time.Second, line: 18 * time.Second, // more than two intervals
}

// matrix is Discord's own pace. The slack is for a busy machine alone: the queue's own
// margin of 50 ms is for the network.
var matrix = plan{
	shards: 8, processes: 2, buckets: 2, window: gatewayqueue.IdentifyDelay, slack: 100 * time.Millisecond, latency: 1500 * time.Millisecond, transit: 50 * time.Millisecond,
	heartbeat: 8 * time.Second, line: 76 * time.Second,
}

// alone is the same without the queue.
var alone = plan{
	shards: matrix.shards, processes: matrix.processes, buckets: matrix.buckets, window: matrix.window, latency: matrix.latency, transit: matrix.transit,
	heartbeat: gatewaytest.DefaultHeartbeat, alone: true,
}

// patience is how long a fleet without the queue may take to come up, before that
// is its result.
const patience = 2 * time.Minute

func TestLibraries(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	s := newStage(t)
	for _, l := range catalogue {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			if l.matrixOnly {
				t.Skip("in scripts/e2e libraries")
			}
			s.needs(t, l)
			newFleet(t, s, l, selection).live(t)
		})
		if l.quick {
			t.Run(l.name+" through a proxy", func(t *testing.T) {
				t.Parallel()
				s.needs(t, l)
				newFleet(t, s, l, proxiedSelection).liveThrough(t)
			})
		}
	}
}

// TestPage_NamesTheQueueInEveryProgram keeps the tables honest: what is run without
// the queue is the page's program less the lines that name it.
func TestPage_NamesTheQueueInEveryProgram(t *testing.T) {
	p := readPage(t)
	require.Contains(t, p.block(t, gateSection, "sh"), "gatewayqueue-discord/gate")
	for _, l := range catalogue {
		text := p.block(t, l.section, l.language())
		plain := without(text)
		if !l.gate {
			require.NotEqual(t, text, plain, l.name)
		}
		require.NotEmpty(t, plain, l.name)
		for _, e := range l.edits {
			require.Contains(t, text, e.from, l.name)
		}
	}
}

func TestMatrix(t *testing.T) {
	s, docs := newMatrix(t)
	rows := s.each(t, func(t *testing.T, l library) string { return newFleet(t, s, l, matrix).live(t).cells() })
	writeTable(t, filepath.Join(docs, "libraries.md"), "matrix", lifeHead, rows)
}

func TestAlone(t *testing.T) {
	s, docs := newMatrix(t)
	rows := s.each(t, func(t *testing.T, l library) string { return newFleet(t, s, l, alone).liveAlone(t) })
	writeTable(t, filepath.Join(docs, "libraries-compared.md"), "alone", aloneHead, rows)
}

func newMatrix(t *testing.T) (s *stage, docs string) {
	t.Helper()
	docs = os.Getenv(docsVar)
	if docs == "" {
		t.Skip("takes minutes: scripts/e2e libraries")
	}
	return newStage(t), docs
}

// each runs f for every library that is to be had, several at a time, and returns
// rows of a table: what f returned, or why there is nothing.
func (s *stage) each(t *testing.T, f func(*testing.T, library) string) []string {
	t.Helper()
	rows := make([]string, len(catalogue))
	t.Run("libraries", func(t *testing.T) {
		for i, l := range catalogue {
			t.Run(l.name, func(t *testing.T) {
				t.Parallel()
				cells := "failed: see the log"
				defer func() { // also after a skip or a failure
					if t.Skipped() {
						cells = "could not be fetched"
					}
					rows[i] = fmt.Sprintf("| %s | %s |", l.name, cells)
				}()
				s.needs(t, l)
				cells = f(t, l)
			})
		}
	})
	return rows
}

// writeTable writes a table of all libraries. What was not run keeps its row.
func writeTable(t *testing.T, path, name, head string, rows []string) {
	t.Helper()
	old, err := os.ReadFile(path)
	require.NoError(t, err)
	_, table, _ := strings.Cut(string(old), "<!-- "+name+": begin -->")
	for i, row := range rows {
		if row != "" {
			continue
		}
		for line := range strings.Lines(table) {
			if strings.HasPrefix(line, "| "+catalogue[i].name+" |") {
				rows[i] = strings.TrimSpace(line)
				break
			}
		}
	}
	date := "Measured on " + time.Now().UTC().Format(time.DateOnly) + ".\n\n"
	require.NoError(t, report.Replace(path, name, date+head+strings.Join(rows, "\n")+"\n"))
}

// needs skips where a library is not to be had.
func (s *stage) needs(t *testing.T, l library) {
	t.Helper()
	switch {
	case l.python && s.python == "":
		citest.Missing(t, "python3 with discord.py: apt-get install python3-discord")
	case !l.python && !s.node:
		citest.Missing(t, "npm that installs the libraries: see the log above")
	}
}
