package citest

import (
	"os/exec"
	"testing"
)

// Browser finds what a test needs that drives a real browser from Node: node itself,
// with playwright-core and axe-core in NODE_PATH, and Chromium. scripts/test fetches
// them. Where one is missing it ends the test, as [Missing] does.
func Browser(t testing.TB) (node, chromium string) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		Missing(t, "node")
	}
	if out, err := exec.CommandContext(t.Context(), node, "-e", "require('playwright-core'); require.resolve('axe-core')").CombinedOutput(); err != nil {
		t.Logf("%s", out)
		Missing(t, "playwright-core and axe-core in NODE_PATH: npm install playwright-core axe-core")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if chromium, err := exec.LookPath(name); err == nil {
			return node, chromium
		}
	}
	Missing(t, "chromium")
	return "", ""
}
