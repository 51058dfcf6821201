// Helm itself, and the chart as it packs it.

package deploycheck

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	chartDir = "../../deploy/helm/gatewayqueue"

	// kubeVersion is the oldest that Chart.yaml takes. Without it what Helm assumes
	// depends on how it was built.
	kubeVersion = "--kube-version=1.29.0"
)

// helm runs it, and returns what it wrote to standard output and standard error.
func helm(t *testing.T, args ...string) (out, trouble string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), findHelm(t), args...)
	// Nothing of the user's own: no plugins, repositories or cluster.
	home := filepath.Join(temporary, "helm")
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home, "KUBECONFIG="+home)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

func findHelm(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("helm")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("CI has no helm")
		}
		t.Skip("no helm: scripts/test installs it")
	}
	return program
}

// packed are the charts as strangers get them: ours as helm package makes it, and the
// example with it in charts/, as helm dependency update puts it there.
var packed struct {
	once         sync.Once
	chart, bot   string
	out, trouble string
	err          error
}

func pack(t *testing.T) (chart, bot string) {
	t.Helper()
	findHelm(t)
	packed.once.Do(func() {
		dir := subdir(t, "charts")
		try := func(args ...string) {
			if packed.err == nil {
				packed.out, packed.trouble, packed.err = helm(t, args...)
			}
		}
		try("package", chartDir, "--destination", dir)
		archives, err := filepath.Glob(filepath.Join(dir, "gatewayqueue-*.tgz"))
		require.NoError(t, err)
		require.Len(t, archives, 1, packed.trouble)
		out, err := exec.CommandContext(t.Context(), "tar", "-xzf", archives[0], "-C", dir).CombinedOutput()
		require.NoError(t, err, "%s", out)
		packed.chart, packed.bot = filepath.Join(dir, "gatewayqueue"), filepath.Join(dir, "examples", "bot")
		require.NoError(t, os.CopyFS(packed.bot, os.DirFS("../../deploy/helm/examples/bot")))
		require.NoError(t, os.RemoveAll(filepath.Join(packed.bot, "charts")))
		require.NoError(t, os.RemoveAll(filepath.Join(packed.bot, "Chart.lock")))
		try("dependency", "update", packed.bot)
	})
	require.NoError(t, packed.err, packed.trouble)
	return packed.chart, packed.bot
}

// temporary is a directory of all tests. Its name is short: a socket's has 100 characters
// at most.
var temporary string

func TestMain(m *testing.M) {
	var err error
	if temporary, err = os.MkdirTemp("", "deploy"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(temporary)
	os.Exit(code)
}

func subdir(t *testing.T, name string) string {
	t.Helper()
	dir := filepath.Join(temporary, name)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	return dir
}

// render is what helm template makes of a chart.
func render(t *testing.T, release, chart string, args ...string) string {
	t.Helper()
	out, trouble, err := helm(t, append([]string{"template", release, chart, kubeVersion}, args...)...)
	require.NoError(t, err, trouble)
	return out
}
