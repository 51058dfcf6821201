package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// packages are those of the repository's root, and below it, that a bot may import.
func packages(t *testing.T) []string {
	t.Helper()
	found := []string{"."}
	entries, err := os.ReadDir(root)
	require.NoError(t, err)
	for _, entry := range entries {
		if !entry.IsDir() || entry.Name() == "lua" { // lua has the scripts, to be read
			continue
		}
		sources, err := filepath.Glob(filepath.Join(root, entry.Name(), "*.go"))
		require.NoError(t, err)
		for _, source := range sources {
			if code, err := os.ReadFile(source); err == nil && !strings.HasSuffix(source, "_test.go") &&
				!regexp.MustCompile(`(?m)^package main$`).Match(code) {
				found = append(found, entry.Name())
				break
			}
		}
	}
	return found
}

// examples is the code of a package's examples.
func examples(t *testing.T, directory string) string {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join(root, directory, "example*_test.go"))
	require.NoError(t, err)
	var all strings.Builder
	for _, source := range sources {
		code, err := os.ReadFile(source)
		require.NoError(t, err)
		assert.LessOrEqual(t, strings.Count(string(code), "\nfunc Example"), 1, "%s: one file for each", source)
		all.Write(code)
	}
	return all.String()
}

// pkg.go.dev shows an Example for every feature, which go test runs: one at least in
// each package, and of the queues one for each option.
func TestExamples_ShowEveryFeature(t *testing.T) {
	declared := regexp.MustCompile(`(?m)^func (With\w+)\([^\n]*\) Option \{`)
	for _, name := range packages(t) {
		if name == "examples" { // whole programs
			continue
		}
		code := examples(t, name)
		assert.Contains(t, code, "\nfunc Example", name)
		if name != "queuetest" { // a suite needs a *testing.T
			assert.Contains(t, code, "// Output:", name)
		}
		if name != "memqueue" && name != "redisqueue" {
			continue
		}
		sources, err := filepath.Glob(filepath.Join(root, name, "*.go"))
		require.NoError(t, err)
		options := 0
		for _, source := range sources {
			text, err := os.ReadFile(source)
			require.NoError(t, err)
			for _, option := range declared.FindAllStringSubmatch(string(text), -1) {
				options++
				assert.Regexp(t, `\b`+option[1]+`\(`, code, "%s: no Example has this option", name)
			}
		}
		require.Greater(t, options, 4, name)
	}
}
