// scripts/: each says what it does, and CONTRIBUTING.md when it is of use.

package deploycheck

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// eachScript runs a test for every file of scripts/, with its head (the comment above the code) and its code.
func eachScript(t *testing.T, test func(t *testing.T, name, head, code string)) {
	t.Helper()
	files, err := os.ReadDir("../../scripts")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(file.Name(), func(t *testing.T) {
			text := read(t, "scripts/"+file.Name())
			head, code, found := strings.Cut(text, "\nset -euo pipefail\n")
			require.True(t, found, "code begins with set -euo pipefail")
			_, head, _ = strings.Cut(head, "\n")
			test(t, file.Name(), regexp.MustCompile(`(?m)^# ?`).ReplaceAllString(head, ""), code)
		})
	}
}

// script runs one from another folder than the repository's.
func script(t *testing.T, name string, args ...string) (out, trouble string, code int) {
	t.Helper()
	path, err := filepath.Abs("../../scripts/" + name)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR="+cmd.Dir)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	require.NotNil(t, cmd.ProcessState, "it does not start")
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func TestScripts_PrintTheirHeadAsHelp(t *testing.T) {
	eachScript(t, func(t *testing.T, name, head, _ string) {
		for _, flag := range []string{"--help", "-h"} {
			if name == "inspect" && flag == "-h" {
				continue // redis-cli's
			}
			out, trouble, code := script(t, name, flag)
			assert.Equal(t, head+"\n", out, flag)
			assert.Empty(t, trouble)
			assert.Zero(t, code)
		}
		assert.Contains(t, head, "\n  scripts/"+name, "a command to copy")
	})
}

// The head names every option that the code takes, and no other.
func TestScripts_HelpHasTheirOptions(t *testing.T) {
	option := regexp.MustCompile(`--[a-z][a-z-]*`)
	branch := regexp.MustCompile(`(?m)^ +(--[a-z][a-z-]*(?: \| --[a-z][a-z-]*)*)\) `)
	usage := regexp.MustCompile(`(?m)^  scripts/.*$`)
	eachScript(t, func(t *testing.T, name, head, code string) {
		for _, found := range branch.FindAllStringSubmatch(code, -1) {
			for _, o := range option.FindAllString(found[1], -1) {
				if o != "--help" && o != "--all" { // --all of scripts/bench is what it does without
					assert.Contains(t, head, o, "an option that it takes")
				}
			}
		}
		for _, line := range usage.FindAllString(head, -1) {
			line, _, _ = strings.Cut(line, "   ") // what it does
			for _, o := range option.FindAllString(line, -1) {
				assert.Contains(t, code, o, "an option of: %s", line)
			}
		}
	})
}

func TestScripts_RefuseWhatTheyDoNotKnow(t *testing.T) {
	eachScript(t, func(t *testing.T, name, _, _ string) {
		if name == "inspect" {
			t.Skip("what it does not know is redis-cli's")
		}
		_, trouble, code := script(t, name, "--nonsense")
		assert.Contains(t, []int{1, 2}, code)
		assert.Contains(t, trouble, "scripts/"+name)
	})
}

func TestContributing_NamesEveryScript(t *testing.T) {
	text := read(t, "CONTRIBUTING.md")
	eachScript(t, func(t *testing.T, name, _, _ string) {
		assert.Regexp(t, `\bscripts/`+regexp.QuoteMeta(name)+`\b`, text)
	})
	files, err := os.ReadDir("../../scripts")
	require.NoError(t, err)
	for _, found := range regexp.MustCompile(`\bscripts/([a-z0-9-]+)`).FindAllStringSubmatch(text, -1) {
		assert.True(t, slices.ContainsFunc(files, func(f os.DirEntry) bool { return f.Name() == found[1] }), "there is no %s", found[0])
	}
}
