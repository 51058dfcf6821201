package deploycheck

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../..", file))
	require.NoError(t, err)
	return string(data)
}

// mentioned wants every word that the pattern finds in the source in the text.
func mentioned(t *testing.T, text, source, pattern string) {
	t.Helper()
	found := regexp.MustCompile(pattern).FindAllStringSubmatch(source, -1)
	require.NotEmpty(t, found, pattern)
	for _, f := range found {
		if word := strings.TrimSpace(f[1]); !strings.Contains(text, word) {
			t.Errorf("docs/operations.md does not mention %s", word)
		}
	}
}

func TestOperationsMentionsAllThereIs(t *testing.T) {
	text := read(t, "docs/operations.md")
	metrics := read(t, "promqueue/collector.go") + read(t, "promqueue/fleet.go")
	mentioned(t, text, metrics, `(?:desc\(|counter\(|histogram\(|Name: )"([a-z_]+)"`)
	mentioned(t, text, read(t, "redisqueue/internal/wire/errors.go"), `\{Text: "([A-Z]{3,} ?)", `)
	for acl := range strings.Lines(read(t, "redisqueue/testdata/acl.txt")) {
		assert.Contains(t, text, "\n"+acl)
	}
	for _, file := range regexp.MustCompile(`\]\(([^)#]+)`).FindAllStringSubmatch(text, -1) {
		_, err := os.Stat(filepath.Join("../../docs", file[1]))
		assert.NoError(t, err)
	}
}

func TestDependencies_AreAllNamed(t *testing.T) {
	text := read(t, "docs/dependencies.md")
	modules := regexp.MustCompile(`(?m)^\t(\.\S*)$`).FindAllStringSubmatch(read(t, "go.work"), -1)
	require.Greater(t, len(modules), 5)
	for _, module := range modules {
		file := filepath.Join(module[1], "go.mod")
		for _, line := range regexp.MustCompile(`(?m)^(?:require |\t)(\S+) v\S+$`).FindAllStringSubmatch(read(t, file), -1) {
			if dependency := line[1]; !strings.HasPrefix(dependency, "github.com/gatewayqueue/") {
				assert.Contains(t, text, dependency, "a direct dependency of %s", file)
			}
		}
	}
}
