// Package redistest starts real Redis servers for tests: one server, a Cluster
// or a set of Sentinels, of any version that is installed.
//
// Every server listens on loopback only, on a port of its own, keeps its files
// in the test's temporary directory and ends with the test; on Linux it also
// ends with a test process that was killed.
//
// A test that finds no server skips and says how to get one. Where CI is set it
// fails instead: a run that tested nothing must not pass. Two variables, both
// set by scripts/test, say where the servers are:
//
//   - GATEWAYQUEUE_REDIS_SERVER is the path of the server that [Start] uses. If
//     unset, it is redis-server or valkey-server from PATH.
//   - GATEWAYQUEUE_REDIS_SERVERS is a list of name=path, separated by colons or
//     newlines: the versions that [Each] goes through.
package redistest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gatewayqueue/gatewayqueue/internal/citest"
)

const (
	serverVar   = "GATEWAYQUEUE_REDIS_SERVER"
	matrixVar   = "GATEWAYQUEUE_REDIS_SERVERS"
	howToGetOne = "run scripts/redis install, or set " + serverVar + " to the path of a redis-server"
)

// Binary is one server program: redis-server, valkey-server or a script that
// runs one with exec.
type Binary struct {
	Name string // such as "redis-7.0"; a valid name of a subtest
	Path string
}

// Start starts a server of the default program, with args added to the
// defaults (no persistence), such as "--appendonly", "yes". It returns when the
// server answers.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return Default(t).Start(t, args...)
}

// StartCluster starts a Redis Cluster of the default program. See
// [Binary.StartCluster].
func StartCluster(t testing.TB, masters, replicasPer int) *Cluster {
	t.Helper()
	return Default(t).StartCluster(t, masters, replicasPer)
}

// StartSentinel starts a master, its replicas and three Sentinels of the
// default program. See [Binary.StartSentinel].
func StartSentinel(t testing.TB, replicas int) *Sentinel {
	t.Helper()
	return Default(t).StartSentinel(t, replicas)
}

// Default is the program that tests use unless they are about versions.
// Without one it ends the test: skipped, or failed under CI.
func Default(t testing.TB) Binary {
	t.Helper()
	b, err := findDefault()
	if err != nil {
		missing(t, err.Error())
	}
	return b
}

// Each runs f as a subtest for every installed version, or for the default
// program alone where no versions are listed. CI must list them.
func Each(t *testing.T, f func(t *testing.T, b Binary)) {
	t.Helper()
	all, err := Versions()
	if err != nil {
		missing(t, err.Error())
	}
	if len(all) == 0 {
		if citest.In() {
			t.Fatalf("%s lists no servers: run scripts/test, which installs and lists them", matrixVar)
		}
		all = []Binary{Default(t)}
	}
	for _, b := range all {
		t.Run(b.Name, func(t *testing.T) { f(t, b) })
	}
}

// Versions are the programs that GATEWAYQUEUE_REDIS_SERVERS lists.
func Versions() ([]Binary, error) {
	var all []Binary
	entries := strings.FieldsFunc(os.Getenv(matrixVar), func(r rune) bool { return r == '\n' || r == ':' })
	for _, entry := range entries {
		name, path, ok := strings.Cut(strings.TrimSpace(entry), "=")
		if !ok {
			return nil, fmt.Errorf("redistest: %s holds %q: want name=path", matrixVar, entry)
		}
		if _, err := exec.LookPath(path); err != nil {
			return nil, fmt.Errorf("redistest: %s in %s: %w", name, matrixVar, err)
		}
		all = append(all, Binary{Name: name, Path: path})
	}
	return all, nil
}

// Version is what the program says of itself, such as "Redis 7.0.15" or
// "Valkey 8.0.1".
func (b Binary) Version() (string, error) {
	out, err := exec.Command(b.Path, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("redistest: %s --version: %w", b.Path, err)
	}
	// Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 ...
	fields := strings.Fields(string(out))
	if len(fields) < 3 {
		return "", fmt.Errorf("redistest: %s --version says %q", b.Path, out)
	}
	return fields[0] + " " + strings.TrimPrefix(fields[2], "v="), nil
}

func findDefault() (Binary, error) {
	if path := os.Getenv(serverVar); path != "" {
		if _, err := exec.LookPath(path); err != nil {
			return Binary{}, fmt.Errorf("redistest: %s: %w", serverVar, err)
		}
		return Binary{Name: "default", Path: path}, nil
	}
	for _, name := range []string{"redis-server", "valkey-server"} {
		if path, err := exec.LookPath(name); err == nil {
			return Binary{Name: "default", Path: path}, nil
		}
	}
	return Binary{}, fmt.Errorf("redistest: no redis-server found: %s", howToGetOne)
}

// missing ends a test that has no server.
func missing(t testing.TB, why string) {
	t.Helper()
	if citest.In() {
		t.Fatal(why)
	}
	t.Skip(why)
}
