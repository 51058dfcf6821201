// The dashboard and the alert rules in deploy/ are held against the metrics that
// there are. promtool, which scripts/test runs on both, knows PromQL but not
// our names.

package promqueue_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/promqueue"
)

const (
	grafana = "../deploy/grafana/dashboard.json"
	alerts  = "../deploy/prometheus/alerts.yml"
)

// described are the names of all series that a collector can have.
func described(t *testing.T) map[string]bool {
	t.Helper()
	to := make(chan *prometheus.Desc)
	go func() {
		promqueue.New().Describe(to)
		close(to)
	}()
	names := make(map[string]bool)
	for d := range to {
		name := regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(d.String())
		require.NotNil(t, name, d)
		names[name[1]] = true
		if strings.HasSuffix(name[1], "_seconds") { // perhaps a histogram
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				names[name[1]+part] = true
			}
		}
	}
	return names
}

func names(text string) []string {
	return regexp.MustCompile(`gatewayqueue_\w+`).FindAllString(text, -1)
}

// expressions are those of the dashboard's panels and annotations.
func expressions(t *testing.T) []string {
	t.Helper()
	data, err := os.ReadFile(grafana)
	require.NoError(t, err)
	var board any
	require.NoError(t, json.Unmarshal(data, &board))
	var found []string
	var look func(any)
	look = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if expr, ok := v["expr"].(string); ok {
				found = append(found, expr)
			}
			for _, inner := range v {
				look(inner)
			}
		case []any:
			for _, inner := range v {
				look(inner)
			}
		}
	}
	look(board)
	require.Greater(t, len(found), 10)
	return found
}

func TestDashboardAndAlertsUseOnlyMetricsThatExist(t *testing.T) {
	have := described(t)
	rules, err := os.ReadFile(alerts)
	require.NoError(t, err)
	used := names(string(rules))
	require.Greater(t, len(used), 10)
	for _, expr := range expressions(t) {
		found := names(expr)
		assert.NotEmpty(t, found, expr)
		used = append(used, found...)
	}
	for _, name := range used {
		if strings.HasPrefix(name, "gatewayqueue_proxy_") { // cmd/gatewayqueue/proxy has those, and a test of its own
			continue
		}
		assert.True(t, have[name], "no metric is called %s", name)
	}
}

func TestEveryMetricIsOnTheDashboardOrInAnAlert(t *testing.T) {
	rules, err := os.ReadFile(alerts)
	require.NoError(t, err)
	all := string(rules) + strings.Join(expressions(t), "\n")
	for name := range described(t) {
		if regexp.MustCompile(`_(bucket|sum|count)$`).MatchString(name) {
			continue
		}
		if !strings.Contains(all, name) {
			t.Errorf("%s is nowhere", name)
		}
	}
}

func TestDashboardsPanelsHaveAPlaceAndADifferentNumber(t *testing.T) {
	data, err := os.ReadFile(grafana)
	require.NoError(t, err)
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
		}
	}
	require.NoError(t, json.Unmarshal(data, &board))
	seen := make(map[int]string)
	taken := make(map[[2]int]string)
	for _, p := range board.Panels {
		assert.Empty(t, seen[p.ID], "%s and %s have one number", p.Title, seen[p.ID])
		seen[p.ID] = p.Title
		assert.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				assert.Empty(t, taken[[2]int{x, y}], "%s lies over another panel", p.Title)
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}

// promtool is Prometheus's own check (Debian's package is prometheus).
func promtool(t *testing.T, args ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("CI has no promtool")
		}
		t.Skip("no promtool: apt-get install prometheus")
	}
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	assert.NoError(t, err, "%s", out)
}

func TestDashboardsExpressionsArePromQL(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rules.yml")
	text := "groups:\n- name: dashboard\n  rules:\n"
	for i, expr := range expressions(t) {
		expr = strings.NewReplacer("$__rate_interval", "1m", "$job", ".*").Replace(expr)
		text += fmt.Sprintf("  - record: panel:%d\n    expr: %q\n", i, expr)
	}
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	promtool(t, "check", "rules", file)
}

func TestAlertRulesAreRight(t *testing.T) {
	promtool(t, "check", "rules", alerts)
}

func TestAlertsAreRaisedWhenTheyShould(t *testing.T) {
	promtool(t, "test", "rules", "../deploy/prometheus/alerts_test.yml")
}
