// The README's first command, on a new machine: what it compiles, and that it is the
// demo of the whole program.

package main_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// heavy is what the demo has no use for, and would have everybody compile who tries
// it: metrics, the HTTP API and its page, proxies, pictures of other kinds than SVG.
var heavy = []string{
	"database/sql", "encoding/xml", "github.com/klauspost/", "github.com/prometheus/", "gonum.org/", "google.golang.org/",
	"golang.org/x/image/", "html/template", "net/http/httputil", "github.com/gatewayqueue/gatewayqueue/dashboard",
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy", "github.com/gatewayqueue/gatewayqueue/httpqueue",
}

func TestFirstCommand_CompilesNothingHeavyThatItHasNoUseFor(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", "./demo").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for name := range strings.FieldsSeq(string(out)) {
		assert.False(t, slices.ContainsFunc(heavy, func(h string) bool { return name == h || strings.HasSuffix(h, "/") && strings.HasPrefix(name, h) }),
			"the demo compiles %s", name)
	}
}

func TestFirstCommand_IsTheDemo(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "demo.exe")
	out, err := exec.Command("go", "build", "-o", program, "./demo").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for _, args := range [][]string{quick("--processes"), quick("--processes")[1:]} { // with and without its name
		cmd := command(t)
		cmd.Path, cmd.Args = program, append([]string{program}, args...)
		assertAllUp(t, finish(t, cmd, func() {}))
	}
	cmd := command(t)
	cmd.Path, cmd.Args = program, []string{program, "--shards", "0"}
	refused := finish(t, cmd, func() {})
	assert.Equal(t, 2, refused.code)
	assert.Contains(t, refused.err, "gatewayqueue demo: --shards is ")
}
