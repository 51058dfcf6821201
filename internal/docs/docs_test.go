package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A newcomer reads the README in one sitting: what is longer is for docs/.
func TestReadme_HasAtMost140Lines(t *testing.T) {
	assert.LessOrEqual(t, strings.Count(read(t, "README.md"), "\n"), 140)
}

// One change each, in a line or two: who upgrades reads all of them.
func TestChangelog_HasShortEntries(t *testing.T) {
	entries := regexp.MustCompile(`(?m)^- .*(\n  .*)*`).FindAllString(read(t, "CHANGELOG.md"), -1)
	assert.NotEmpty(t, entries)
	for _, entry := range entries {
		lines := strings.Split(entry, "\n")
		assert.LessOrEqual(t, len(lines), 2, entry)
		for _, line := range lines {
			assert.LessOrEqual(t, len(line), 160, line)
		}
	}
}

func TestPages_LinksResolve(t *testing.T) {
	target := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, file := range files(t, ".md") {
		for _, found := range target.FindAllStringSubmatch(prose(read(t, file)), -1) {
			if strings.Contains(found[1], "://") || strings.HasPrefix(found[1], "mailto:") {
				continue
			}
			name, anchor, _ := strings.Cut(found[1], "#")
			at := file
			if name != "" {
				at = path.Join(path.Dir(file), name)
			}
			_, err := os.Stat(filepath.Join(root, at))
			if !assert.NoError(t, err, "%s links to %s", file, found[1]) || anchor == "" {
				continue
			}
			assert.Contains(t, anchors(read(t, at)), anchor, "%s links to %s", file, found[1])
		}
	}
}

// A page that a program, a script or a manifest sends people to is there.
func TestPages_NamedElsewhereExist(t *testing.T) {
	named := regexp.MustCompile(`\bdocs/[a-z-]+\.md`)
	for _, file := range files(t, ".go", ".yml", ".yaml", ".conf", "scripts/test", ".service", ".md") {
		for _, page := range named.FindAllString(read(t, file), -1) {
			_, err := os.Stat(filepath.Join(root, page))
			assert.NoError(t, err, "%s names it", file)
		}
	}
}

// pages are those of docs/, but for their index.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	require.NoError(t, err)
	require.Greater(t, len(found), 10)
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	return slices.DeleteFunc(found, func(name string) bool { return name == "README.md" })
}

// The line below a page's title says whom it is for.
func TestPages_SayWhomTheyAreFor(t *testing.T) {
	for _, page := range pages(t) {
		title, rest, _ := strings.Cut(read(t, "docs/"+page), "\n\n")
		assert.Regexp(t, `^# [^\n]+$`, title, page)
		assert.Regexp(t, `^For [a-z]`, rest, "%s: the line below its title says whom it is for", page)
	}
}

func TestIndex_HasEveryPageOnce(t *testing.T) {
	index := read(t, "docs/README.md")
	for _, page := range pages(t) {
		assert.Equal(t, 1, strings.Count(index, "]("+page+")"), page)
	}
}

// Every option has a row in its table, and every row an option.
func TestLibraryPage_HasEveryOption(t *testing.T) {
	page := read(t, "docs/library.md")
	for _, table := range []struct{ title, sources, option string }{
		{"Options of `redisqueue.New`", "redisqueue/*.go", "Option"},
		{"Options of `memqueue.New`", "memqueue/*.go", "Option"},
	} {
		var want, have []string
		sources, err := filepath.Glob(filepath.Join(root, table.sources))
		require.NoError(t, err)
		declared := regexp.MustCompile(`(?m)^func (With\w+)\([^\n]*\) ` + table.option + ` \{`)
		for _, source := range sources {
			if strings.HasSuffix(source, "_test.go") {
				continue
			}
			code, err := os.ReadFile(source)
			require.NoError(t, err)
			for _, found := range declared.FindAllStringSubmatch(string(code), -1) {
				want = append(want, found[1])
			}
		}
		require.Greater(t, len(want), 4)
		for _, found := range regexp.MustCompile("(?m)^\\| `(With\\w+)\\(").FindAllStringSubmatch(section(t, page, table.title), -1) {
			have = append(have, found[1])
		}
		assert.ElementsMatch(t, want, have, table.title)
	}
}
