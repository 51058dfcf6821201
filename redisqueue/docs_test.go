package redisqueue_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Every log line and error that a page quotes is one of the code: `"like this"`, with
// … for what varies.
func TestTroubleshooting_QuotesAreOfTheCode(t *testing.T) {
	var code strings.Builder
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == "internal" && filepath.Base(filepath.Dir(path)) != "redisqueue" || d.Name() == "bench"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		source, err := os.ReadFile(path)
		code.Write(source)
		return err
	})
	require.NoError(t, err)
	var page []byte
	for name, least := range map[string]int{"failures": 10, "runbook": 6, "troubleshooting": 20} {
		page, err = os.ReadFile("../docs/" + name + ".md")
		require.NoError(t, err)
		quotes := regexp.MustCompile("`\"([^`]+)\"`").FindAllStringSubmatch(string(page), -1)
		require.Greater(t, len(quotes), least, name)
		for _, quote := range quotes {
			for part := range strings.SplitSeq(quote[1], "…") {
				assert.Contains(t, code.String(), strings.TrimSpace(part), "%s: nothing says %q any more", name, quote[1])
			}
		}
	}
	page, err = os.ReadFile("../docs/troubleshooting.md")
	require.NoError(t, err)
	require.GreaterOrEqual(t, strings.Count(string(page), "\n- **Look:**"), 10, "symptoms")
	require.Equal(t, strings.Count(string(page), "\n### "), strings.Count(string(page), "\n- **Do:**"), "each says what to do")
}
