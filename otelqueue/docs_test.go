package otelqueue_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The section "Traces" of docs/operations.md has each name of attributes.go, and
// none that is not there.
func TestDocs_HaveTheNamesOfTheCode(t *testing.T) {
	code, err := os.ReadFile("attributes.go")
	require.NoError(t, err)
	page, err := os.ReadFile("../docs/operations.md")
	require.NoError(t, err)
	_, section, ok := strings.Cut(string(page), "\n## Traces\n")
	require.True(t, ok)
	section, _, _ = strings.Cut(section, "\n## ")

	names := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\t(?:span|Key|Outcome|Error|Event)\w+ += (?:attribute\.Key\()?"([^"]+)"`).FindAllStringSubmatch(string(code), -1) {
		names[m[1]] = true
		assert.Contains(t, section, "`"+m[1]+"`")
	}
	require.Greater(t, len(names), 15)
	for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(section, -1) {
		if strings.HasPrefix(m[1], "gatewayqueue.") || strings.Contains(m[1], " identify ") {
			assert.True(t, names[m[1]], "the code has no %s", m[1])
		}
	}
}
