package gatewaytest_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The page has the tables of the package's documentation, row by row.
func TestDocs_TablesAreThePackages(t *testing.T) {
	source, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	page, err := os.ReadFile("../docs/fake-discord.md")
	require.NoError(t, err)
	columns := regexp.MustCompile(` {2,}`)
	var rows [][]string
	for line := range strings.Lines(string(source)) {
		text, isTable := strings.CutPrefix(strings.TrimRight(line, "\n"), "//\t")
		if !isTable {
			continue
		}
		cells := columns.Split(text, -1)
		switch {
		case len(cells) == 3 && cells[0] != "":
			rows = append(rows, cells)
		case len(cells) == 2 && cells[0] == "" && len(rows) > 0:
			rows[len(rows)-1][2] += " " + cells[1]
		}
	}
	require.Greater(t, len(rows), 40)
	brackets := regexp.MustCompile(`\[((?:Server\.)?[A-Z]\w+)\]`)
	for _, row := range rows {
		want := "| " + strings.Join(row, " | ") + " |"
		assert.Contains(t, string(page), brackets.ReplaceAllString(want, "`$1`"))
	}
}
