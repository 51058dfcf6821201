// What all fleets share: the built program, a Redis, the installed libraries, a
// certificate for the fake Discord.

package libraries

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

type stage struct {
	page    page
	dir     string
	program string // gatewayqueue
	redis   *redistest.Server
	tls     *tls.Config
	roots   string // a file
	python  string // an interpreter that has discord.py; empty if none is installed
	node    bool   // and the packages are installed
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %q: %s", name, args, out)
}

// newStage builds and installs. What is not to be had is told where it is needed.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{page: readPage(t), dir: t.TempDir(), redis: redistest.Start(t)}
	s.program = filepath.Join(s.dir, "gatewayqueue")
	run(t, ".", "go", "build", "-o", s.program, "github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue")
	s.makeCertificate(t)
	require.NoError(t, os.Mkdir(s.bots(), 0o700))
	s.installPackages(t)
	s.python = findPython(t.Context())
	return s
}

// bots is the directory that bots run in.
func (s *stage) bots() string { return filepath.Join(s.dir, "bots") }

// installPackages has npm install the libraries, once for all runs, and puts our
// own package beside them.
func (s *stage) installPackages(t *testing.T) {
	t.Helper()
	manifest, err := os.ReadFile("package.json")
	require.NoError(t, err)
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	installed := filepath.Join(cache, "gatewayqueue", "tools", fmt.Sprintf("npm-libraries-%.6x", sha256.Sum256(manifest)))
	if _, err := os.Stat(installed); err != nil {
		require.NoError(t, os.MkdirAll(filepath.Dir(installed), 0o700))
		dir, err := os.MkdirTemp(filepath.Dir(installed), "npm-") //nolint:usetesting // it is renamed, so on the same disk
		require.NoError(t, err)
		defer func() { _ = os.RemoveAll(dir) }()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "package.json"), manifest, 0o600))
		cmd := exec.CommandContext(t.Context(), "npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Logf("npm install: %v: %s", err, out)
			return
		}
		_ = os.Rename(dir, installed) // or another test was first
	}
	require.NoError(t, os.Mkdir(filepath.Join(s.dir, "node_modules"), 0o700))
	own, err := filepath.Abs("../../../clients/js")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(own, filepath.Join(s.dir, "node_modules", "gatewayqueue-discord")))
	require.NoError(t, os.Symlink(filepath.Join(installed, "node_modules"), filepath.Join(s.bots(), "node_modules")))
	s.node = true
}

// findPython returns an interpreter that has discord.py. The first in PATH need
// not be the one that Debian's packages are for.
func findPython(ctx context.Context) string {
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		path, err := exec.LookPath(name)
		if err == nil && exec.CommandContext(ctx, path, "-c", "import discord").Run() == nil {
			return path
		}
	}
	return ""
}

// makeCertificate makes one for Discord's names and for loopback.
func (s *stage) makeCertificate(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:  []string{"localhost", "discord.com", "*.discord.gg", tls443Host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	s.roots = filepath.Join(s.dir, "roots.pem")
	require.NoError(t, os.WriteFile(s.roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

// trust is for a client of the fake Discord.
func (s *stage) trust(t *testing.T) *tls.Config {
	t.Helper()
	roots, err := os.ReadFile(s.roots)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(roots))
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}
