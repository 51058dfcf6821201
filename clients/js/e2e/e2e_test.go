// Package e2e runs the JavaScript package's own tests: packed and installed as a
// user would, against gatewayqueue serve and a real Redis.
package e2e

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/citest"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// packages are what the tests use from the registry. Real libraries are run by
// internal/e2e/libraries.
var packages = []string{"@discordjs/ws@2.0.4", "discord.js@14.28.1", "ws@8", "typescript@5", "@types/node@18"}

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "6") // they mostly wait
	os.Exit(m.Run())
}

func output(t *testing.T, dir string, env []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // its processes end with it
	cmd.Cancel = kill
	out, err := cmd.CombinedOutput()
	if cmd.Process != nil {
		_ = kill()
	}
	return string(out), err
}

func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	out, err := output(t, dir, env, name, args...)
	require.NoError(t, err, "%s %q: %s", name, args, out)
}

func TestJavaScriptPackage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			citest.Missing(t, tool)
		}
	}
	dir := t.TempDir()
	source, err := filepath.Abs("..")
	require.NoError(t, err)
	run(t, dir, nil, "npm", "pack", "--silent", source)
	packed, err := filepath.Glob(filepath.Join(dir, "gatewayqueue-discord-*.tgz"))
	require.NoError(t, err)
	require.Len(t, packed, 1)

	bot := filepath.Join(dir, "bot")
	require.NoError(t, os.MkdirAll(bot, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(bot, "package.json"), []byte("{\"private\": true}\n"), 0o600))
	install := []string{"install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"}
	run(t, bot, nil, "npm", append(install, "--offline", packed[0])...) // it has no dependencies
	require.NoError(t, os.CopyFS(filepath.Join(bot, "test"), os.DirFS(filepath.Join(source, "test"))))

	run(t, ".", nil, "go", "build", "-o", filepath.Join(dir, "gatewayqueue"), "github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue")
	env := []string{"GQ_TEST_PROGRAMS=" + dir, "GQ_TEST_REDIS=" + redistest.Start(t).Addr}
	test := func(t *testing.T, name string) {
		t.Helper()
		out, err := output(t, bot, env, "node", "--test", "--test-reporter=tap", filepath.Join("test", name))
		require.NoError(t, err, out)
	}
	t.Run("alone", func(t *testing.T) {
		for _, name := range []string{"commonjs.test.cjs", "settings.test.mjs"} {
			test(t, name)
		}
	})

	if out, err := output(t, bot, nil, "npm", append(install, packages...)...); err != nil {
		t.Log(out)
		t.Run("client", func(t *testing.T) { test(t, "client.test.mjs") })
		citest.Missing(t, "registry of npm packages")
	}
	t.Run("types", func(t *testing.T) {
		run(t, bot, nil, filepath.Join("node_modules", ".bin", "tsc"), "--project", "test")
	})
	for _, name := range []string{"client", "gate"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, name+".test.mjs")
		})
	}
}
