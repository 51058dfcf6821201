// Package citest is for tests that need something which need not be there: they
// skip without it, but not in CI, where nothing may be missing.
package citest

import (
	"os"
	"testing"
)

// In reports whether this is CI, as scripts/test sees it.
func In() bool {
	ci := os.Getenv("CI")
	return ci != "" && ci != "false" && ci != "0"
}

// Missing ends a test that lacks something: it fails in CI, and is skipped elsewhere.
func Missing(t testing.TB, what string) {
	t.Helper()
	if In() {
		t.Fatal("CI has no " + what)
	}
	t.Skip("no " + what)
}
