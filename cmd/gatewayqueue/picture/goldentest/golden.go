// Package goldentest compares screens with files that somebody has looked at.
package goldentest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
)

// Sizes are those of terminals, columns and lines: a split, a small window, the
// usual one, a large one, a whole display.
var Sizes = [][2]int{{40, 12}, {60, 24}, {80, 24}, {120, 40}, {200, 50}}

// Screen compares a screen at all sizes, and as a file or a pipe gets it, with
// testdata/NAME.txt. With UPDATE set it writes that file: look at it then.
func Screen(t *testing.T, name string, s picture.Screen, v picture.View) {
	t.Helper()
	var got strings.Builder
	for _, size := range append(Sizes, [2]int{}) {
		lines, _ := picture.Draw(s, v, size[0], size[1])
		heading := fmt.Sprintf("%dx%d", size[0], size[1])
		if size[1] == 0 {
			heading = "piped"
		}
		fmt.Fprintf(&got, "--- %s\n", heading)
		for _, line := range lines {
			if size[0] > 0 {
				assert.LessOrEqual(t, ansi.StringWidth(line), size[0], "%s: %q", heading, line)
			}
			got.WriteString(strings.TrimRight(ansi.Strip(line), " ") + "\n")
		}
		if size[1] > 0 && !v.Final {
			assert.Len(t, lines, size[1], heading)
		}
	}
	file := filepath.Join("testdata", name+".txt")
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(file, []byte(got.String()), 0o600))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got.String(), "UPDATE=1 writes it again: look at it then")
}
