package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// docs/cli.md names every command. A command with a section of its own has all of
// its flags in the table there, and no other, with their defaults where these are
// numbers or times. (docs/proxy.md has those of the proxy, and a test of its own.)
func TestDocs_NameEveryCommandAndFlag(t *testing.T) {
	text, err := os.ReadFile("../../docs/cli.md")
	require.NoError(t, err)
	sections := strings.Split(string(text), "\n## ")
	tables := make(map[string]string)
	for _, section := range sections[1:] {
		title, body, _ := strings.Cut(section, "\n")
		tables[title] = body
	}
	for _, name := range []string{"serve", "status", "wait"} {
		assert.Contains(t, tables, name)
	}
	commands := make(map[string]*cobra.Command)
	for _, c := range root().Commands() {
		if !c.Hidden && c.Name() != "help" && c.Name() != "completion" {
			commands[c.Name()] = c
			assert.Contains(t, sections[0], "\n| `"+c.Name()+"` |", "the table of commands")
		}
	}
	for title, table := range tables {
		if c := commands[title]; assert.NotNil(t, c, "there is no command %s", title) {
			flagsAsIn(t, table, c)
		}
	}
}

// flagsAsIn compares a command's flags with its table: flags, other names,
// defaults, purpose.
func flagsAsIn(t *testing.T, table string, c *cobra.Command) {
	t.Helper()
	rows := make(map[string]string) // flag -> default
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 6 || !strings.HasPrefix(cells[1], " `--") {
			continue
		}
		flags := regexp.MustCompile("`--([a-z-]+)").FindAllStringSubmatch(cells[1], -1)
		value := strings.TrimSpace(cells[3])
		values := strings.Split(value, ", ")
		for i, flag := range flags {
			if rows[flag[1]] = value; len(values) == len(flags) {
				rows[flag[1]] = values[i]
			}
		}
	}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, found := rows[f.Name]
		assert.True(t, found, "%s --%s is not in the table", c.Name(), f.Name)
		delete(rows, f.Name)
		if want, err := time.ParseDuration(value); err == nil && value != "0" {
			have, err := time.ParseDuration(f.DefValue)
			assert.NoError(t, err, f.Name)
			assert.Equal(t, want, have, "%s --%s", c.Name(), f.Name)
		} else if _, err := strconv.Atoi(value); err == nil && value != "0" { // 0 may also be given as none
			assert.Equal(t, f.DefValue, value, "%s --%s", c.Name(), f.Name)
		}
	})
	assert.Empty(t, rows, "%s has no such flags", c.Name())
}

// A command line of ours that a page shows is one that the program takes: the command
// and its flags exist.
func TestDocs_CommandLinesAreOfTheProgram(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	commands := make(map[string]*cobra.Command)
	for _, c := range root().Commands() {
		commands[c.Name()] = c
	}
	line := regexp.MustCompile("(?m)(?:^(?:\\$ )?|`)(?:\\./)?gatewayqueue ([a-z][a-z-]*)([^`\n#|&]*)")
	found := 0
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		for _, shown := range line.FindAllStringSubmatch(string(text), -1) {
			c := commands[shown[1]]
			if !assert.NotNil(t, c, "%s: %s", page, shown[0]) {
				continue
			}
			found++
			mine, _, _ := strings.Cut(shown[2], " -- ")
			for _, flag := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(mine, -1) {
				assert.True(t, flag[1] == "help" || c.Flags().Lookup(flag[1]) != nil, "%s: %s", page, shown[0])
			}
		}
	}
	require.Greater(t, found, 50)
}
