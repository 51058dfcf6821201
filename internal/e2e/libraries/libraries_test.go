package libraries

import (
	"os"
	"testing"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/e2e/unraced"
)

func TestMain(m *testing.M) {
	os.Exit(unraced.Run(m, 6)) // they mostly wait
}

// selection is short enough for every run of the tests.
var selection = plan{
	shards: 6, window: 3 * time.Second, slack: 200 * time.Millisecond, latency: 150 * time.Millisecond,
	heartbeat: 8 * time.Second, line: 18 * time.Second, // more than two intervals
}

func TestLibraries(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	s := newStage(t)
	for _, l := range catalogue {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			s.needs(t, l)
			newFleet(t, s, l, selection).live(t)
		})
	}
}

// needs skips where a library is not to be had.
func (s *stage) needs(t *testing.T, l library) {
	t.Helper()
	switch {
	case l.python && s.python == "":
		missing(t, "python3 with discord.py: apt-get install python3-discord")
	case !l.python && !s.node:
		missing(t, "npm that installs the libraries: see the log above")
	}
}
