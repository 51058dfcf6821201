package proxy

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
)

// docs/proxy.md has each flag with its default, and each metric, and no other.
func TestDocs_NameEveryFlagAndMetric(t *testing.T) {
	text, err := os.ReadFile("../../../docs/proxy.md")
	require.NoError(t, err)
	section := func(title string) string {
		_, after, found := strings.Cut(string(text), "\n## "+title+"\n")
		require.True(t, found, title)
		before, _, _ := strings.Cut(after, "\n## ")
		return before
	}
	names := func(section, pattern string) map[string]bool {
		all := make(map[string]bool)
		for line := range strings.Lines(section) {
			if cell, _, isRow := strings.Cut(strings.TrimPrefix(line, "| `"), " |"); isRow && cell != line {
				for _, found := range regexp.MustCompile(pattern).FindAllStringSubmatch("`"+cell, -1) {
					all[found[1]] = true
				}
			}
		}
		return all
	}
	flags := names(section("Flags"), "`--([a-z-]+)")
	Command().Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "help" {
			assert.True(t, flags[f.Name], "--%s is not in the table", f.Name)
			delete(flags, f.Name)
		}
	})
	assert.Empty(t, flags, "there are no such flags")

	p, err := gatewayproxy.New(gatewayproxy.One(gatewayqueue.PermitQueue(nil)))
	require.NoError(t, err)
	m := newMetrics()
	m.observe(gatewayproxy.Event{Kind: gatewayproxy.EventClosed, By: "bot"})
	families, err := m.registry(p).Gather()
	require.NoError(t, err)
	metrics := names(section("Metrics"), "`([a-z_]+)[`{]")
	for _, f := range families {
		if name, ours := strings.CutPrefix(f.GetName(), namespace+"_"+subsystem+"_"); ours {
			assert.True(t, metrics[name], "%s is not in the table", name)
			delete(metrics, name)
		}
	}
	delete(metrics, "heartbeat_seconds_max") // missing while no shard is ready
	assert.Empty(t, metrics, "there are no such metrics")
}
