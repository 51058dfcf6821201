package faults

// Wall clocks. The fault "clocks moved" moves those of pods while they work; this
// looks at the source, for what no run may meet.

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// wall matches what reads a wall clock: the time as a number or as text, or
// without its monotonic reading.
var wall = regexp.MustCompile(`time\.Now\(\)\.(Unix|Format|UTC|Round|Truncate|In|Local|String)|\.Round\(0\)|time\.Date\(`)

// now matches what reads Redis's clock, in scripts.
var now = regexp.MustCompile(`redis\.call\('TIME'\)`)

// time.Now keeps a monotonic reading, by which Go compares and subtracts. Only
// what takes it away reads the wall clock.
func TestNoDecisionReadsAWallClock(t *testing.T) {
	files, err := filepath.Glob("../../redisqueue/*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for i, line := range strings.Split(string(text), "\n") {
			if wall.MatchString(line) {
				t.Errorf("%s:%d reads a wall clock: %s", file, i+1, strings.TrimSpace(line))
			}
		}
	}
	scripts, err := filepath.Glob("../../lua/*.lua")
	require.NoError(t, err)
	for _, file := range scripts {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.LessOrEqual(t, len(now.FindAll(text, -1)), 1, "%s reads the clock more than once", file)
		require.NotContains(t, string(text), "os.time", file)
	}
}
