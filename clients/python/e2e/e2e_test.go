// Package e2e runs the Python package's own tests: built and installed as a user
// would, against gatewayqueue serve, a real Redis, and the real discord.py.
package e2e

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/citest"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

var long = flag.Bool("python-long", false, "run the Python tests that take minutes, too")

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "6") // they mostly wait
	os.Exit(m.Run())
}

// python returns an interpreter that has discord.py and what builds packages. The
// first in PATH need not be the one that Debian's packages are for.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		path, err := exec.LookPath(name)
		if err == nil && exec.CommandContext(t.Context(), path, "-c", "import setuptools, discord, ensurepip, pip, venv, wheel").Run() == nil {
			return path
		}
	}
	citest.Missing(t, "python3 with discord.py, pip, venv, setuptools and wheel: apt-get install python3-discord python3-pip python3-venv python3-wheel")
	return ""
}

func run(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // its processes end with it
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %q: %s", name, args, out)
	t.Logf("%s", out)
}

func TestPythonPackage(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	python := python(t)
	dir := t.TempDir()
	source := filepath.Join(dir, "source") // setuptools writes beside what it builds
	require.NoError(t, os.CopyFS(source, os.DirFS("..")))
	build := "import sys; from setuptools import build_meta as b; getattr(b, 'build_' + sys.argv[1])(sys.argv[2])"
	run(t, source, nil, python, "-c", build, "sdist", dir)
	run(t, source, nil, python, "-c", build, "wheel", dir)
	sdist, err := filepath.Glob(filepath.Join(dir, "gatewayqueue*.tar.gz"))
	require.NoError(t, err)
	require.Len(t, sdist, 1)
	wheel, err := filepath.Glob(filepath.Join(dir, "gatewayqueue*.whl"))
	require.NoError(t, err)
	require.Len(t, wheel, 1)

	venv := filepath.Join(dir, "venv")
	run(t, dir, nil, python, "-m", "venv", "--system-site-packages", venv)
	interpreter := filepath.Join(venv, "bin", "python")
	for _, file := range []string{sdist[0], wheel[0]} { // the wheel stays
		run(t, dir, nil, interpreter, "-m", "pip", "install", "-q", "--no-index", "--no-build-isolation", "--force-reinstall", "--no-deps", file)
	}
	run(t, dir, nil, interpreter, "-m", "pip", "check")
	if mypy, err := exec.LookPath("mypy"); err == nil {
		run(t, source, nil, mypy, "--cache-dir", filepath.Join(dir, "mypy"))
	} else {
		citest.Missing(t, "mypy")
	}

	run(t, ".", nil, "go", "build", "-o", filepath.Join(dir, "gatewayqueue"), "github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue")
	env := []string{"GQ_TEST_PROGRAMS=" + dir, "GQ_TEST_REDIS=" + redistest.Start(t).Addr}
	if *long {
		env = append(env, "GQ_TEST_LONG=1")
	}
	tests, err := filepath.Abs("../tests")
	require.NoError(t, err)
	list := exec.CommandContext(t.Context(), interpreter, "-B", "-c", listTests)
	list.Dir, list.Env = tests, append(os.Environ(), env...)
	names, err := list.Output()
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for _, name := range strings.Fields(string(names)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, tests, env, interpreter, "-B", "-W", "error::ResourceWarning", "-m", "unittest", name)
		})
	}
}

// listTests prints the names of the Python tests, which run side by side.
const listTests = `
import unittest
def names(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from names(test)
        elif not getattr(test, "__unittest_skip__", False):
            yield test.id()
print(*names(unittest.defaultTestLoader.discover(".")))
`
