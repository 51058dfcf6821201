// The program as a user runs it: built, started, and judged by its output and
// exit status.

package main_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// program is the built binary.
var program string

// testsAtOnce: most tests wait for programs, which sleep, so more of them fit a
// machine than it has cores.
const testsAtOnce = 8

func TestMain(m *testing.M) {
	if how := os.Getenv(scriptBot); how != "" {
		beBot(how)
		return
	}
	if shards := os.Getenv(pagePod); shards != "" {
		bePagePod(shards)
		return
	}
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set(strconv.Itoa(testsAtOnce))
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "gatewayqueue")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir) // The system's temporary directory.
		program = filepath.Join(dir, "gatewayqueue")
		if runtime.GOOS == "windows" {
			program += ".exe"
		}
		if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// result is what a run left behind.
type result struct {
	out, err string
	code     int
}

// command prepares the program. It has no terminal, and an environment that the
// machine's does not leak into.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(environment(), "NO_COLOR=")
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// environment is the machine's without what the program reads.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		ours := strings.HasPrefix(name, "GATEWAYQUEUE_") && !strings.HasPrefix(name, "GATEWAYQUEUE_REDIS_SERVER")
		return ours || slices.Contains([]string{"HOST", "PORT", "REDIS_URL", "REDIS_URL_FILE", "DISCORD_TOKEN", "DISCORD_TOKEN_FILE"}, name)
	})
}

func run(t *testing.T, args ...string) result {
	t.Helper()
	return finish(t, command(t, args...), func() {})
}

// finish starts cmd, calls meanwhile, and waits for the end.
func finish(t *testing.T, cmd *exec.Cmd, meanwhile func()) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Start())
	meanwhile()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}
