// deploy/kubernetes is what helm template makes of deploy/helm, so that there is one
// source. scripts/manifests writes it.

package deploycheck

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what is compared")

// same compares a file with what it has to be, or with -update writes that.
func same(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644)) //nolint:gosec // a file of the repository
		return
	}
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	have, need := strings.Split(string(data), "\n"), strings.Split(want, "\n")
	for i := range max(len(have), len(need)) {
		if i >= len(have) || i >= len(need) || have[i] != need[i] {
			assert.Failf(t, "a file is old: scripts/manifests writes it", "%s: from line %d on", filepath.Base(file), i+1)
			return
		}
	}
}

func TestManifests_AreWhatTheChartRenders(t *testing.T) {
	chart, bot := pack(t)
	for _, m := range []struct {
		file, release, chart string
		values               []string // the last has the text above the manifest
		only                 string
	}{
		{"server.yaml", "gatewayqueue", chart, []string{"server"}, ""},
		{"proxy.yaml", "gatewayqueue-proxy", chart, []string{"proxy"}, ""},
		{"proxy-guard.yaml", "gatewayqueue-proxy", chart, []string{"proxy", "proxy-guard"}, "guard"},
		{"cilium/proxy-guard.yaml", "gatewayqueue-proxy", chart, []string{"proxy", "proxy-guard-cilium"}, "guard-cilium"},
		{"bot.yaml", "bot", bot, []string{"bot"}, ""},
		{"proxy-sidecar.yaml", "proxied-bot", bot, []string{"proxy-sidecar"}, ""},
	} {
		t.Run(m.file, func(t *testing.T) {
			var args []string
			var head string
			for _, v := range m.values {
				file := filepath.Join("../../deploy/helm/manifests", v+".yaml")
				args = append(args, "--values", file)
				data, err := os.ReadFile(file)
				require.NoError(t, err)
				head = regexp.MustCompile(`^(#.*\n)+`).FindString(string(data))
			}
			if m.only != "" {
				args = append(args, "--show-only", "templates/"+m.only+".yaml")
			}
			head += "#\n# scripts/manifests has made this of deploy/helm.\n"
			same(t, filepath.Join("../../deploy/kubernetes", m.file), head+plain(render(t, m.release, m.chart, args...)))
		})
	}
}

// plain is what Helm has rendered without what only Helm needs, and with what runs
// before what it needs: the reverse of Helm's order.
func plain(rendered string) string {
	var objects []string
	for object := range strings.SplitSeq("\n"+rendered, "\n---\n") {
		var kept strings.Builder
		for line := range strings.Lines(object) {
			if regexp.MustCompile(`^# Source: |^ +(helm\.sh/chart|app\.kubernetes\.io/(version|managed-by)): |^\s*$`).MatchString(line) {
				continue
			}
			kept.WriteString(strings.TrimRight(line, " \n") + "\n")
		}
		if kept.Len() > 0 {
			objects = append(objects, kept.String())
		}
	}
	slices.Reverse(objects)
	return strings.Join(objects, "---\n")
}
