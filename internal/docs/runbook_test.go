package docs

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each alert has its section, which says what to look at, what to do and when to
// ignore it, and each section its alert, whose annotation leads there.
func TestRunbook_HasEveryAlert(t *testing.T) {
	rules, page := read(t, "deploy/prometheus/alerts.yml"), read(t, "docs/runbook.md")
	var alerts, sections []string
	for _, rule := range strings.Split(rules, "- alert: ")[1:] {
		name, _, _ := strings.Cut(rule, "\n")
		alerts = append(alerts, name)
		assert.Contains(t, rule, "runbook_url: https://github.com/gatewayqueue/gatewayqueue/blob/main/docs/runbook.md#"+strings.ToLower(name)+"\n")
		severity := regexp.MustCompile(`severity: (\w)(\w+)`).FindStringSubmatch(rule)
		require.NotNil(t, severity, name)
		text := section(t, page, name)
		assert.Contains(t, text, "\n**"+strings.ToUpper(severity[1])+severity[2]+".**", "%s: its severity", name)
		for _, part := range []string{"**Look:**", "**Do:**", "**Ignore"} {
			assert.Contains(t, text, "\n- "+part, name)
		}
	}
	for _, found := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(page, -1) {
		sections = append(sections, found[1])
	}
	assert.ElementsMatch(t, alerts, sections)
}

// A metric that the pages for operators name is one that there is.
func TestFailures_NameMetricsThatExist(t *testing.T) {
	code := read(t, "promqueue/collector.go") + read(t, "promqueue/fleet.go") +
		read(t, "cmd/gatewayqueue/proxy/metrics.go") + read(t, "cmd/gatewayqueue/proxy/counts.go")
	for _, page := range []string{"docs/failures.md", "docs/runbook.md"} {
		for _, found := range regexp.MustCompile(`\bgatewayqueue_(?:proxy_)?(\w+)`).FindAllStringSubmatch(read(t, page), -1) {
			assert.Contains(t, code, `"`+found[1]+`"`, page)
		}
	}
}
