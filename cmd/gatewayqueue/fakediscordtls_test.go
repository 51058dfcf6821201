// fake-discord --tls: its certificate, and who trusts it.

package main_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/citest"
)

func TestFakeDiscord_BotsTrustItsCertificate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "authority")
	d := startDiscord(t, "--tls", "--tls-dir", dir, "--tls-name", "fake.example.org")
	require.Regexp(t, `^https://127\.0\.0\.1:`, d.API)
	file := filepath.Join(dir, "ca.pem")

	authority, err := os.ReadFile(file)
	require.NoError(t, err)
	key, err := os.Stat(filepath.Join(dir, "ca-key.pem"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), key.Mode())
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(authority))
	client := func(name string) *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, ServerName: name}}}
	}
	for _, name := range []string{"localhost", "127.0.0.1", "::1", "discord.com", "gateway.discord.gg", "gateway-us-east1-b.discord.gg", "fake.example.org"} {
		res, err := client(name).Get(d.API + "/api/v10/gateway")
		if assert.NoError(t, err, name) {
			_ = res.Body.Close()
		}
	}
	_, err = client("example.org").Get(d.API)
	assert.ErrorContains(t, err, "not example.org")
	_, answer := d.identify(client(""), 0, 1)
	assert.Contains(t, answer, `"resume_gateway_url":"wss://127.0.0.1:`)

	ask := map[string][]string{
		"node":    {"NODE_EXTRA_CA_CERTS", "-e", "fetch(process.argv[1]).then(async r => console.log(await r.text()))"},
		"python3": {"SSL_CERT_FILE", "-c", "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())"},
	}
	for program, how := range ask {
		path, err := exec.LookPath(program)
		if err != nil && !citest.In() {
			t.Logf("there is no %s", program)
			continue
		}
		require.NoError(t, err)
		for _, trust := range []bool{true, false} {
			cmd := exec.CommandContext(t.Context(), path, append(how[1:], d.API+"/api/v10/gateway")...)
			cmd.Env = os.Environ()
			if trust {
				cmd.Env = append(cmd.Env, how[0]+"="+file)
			}
			out, err := cmd.CombinedOutput()
			assert.Equal(t, trust, err == nil, "%s: %s", program, out)
			if trust {
				assert.Contains(t, string(out), "wss://127.0.0.1:")
			}
		}
	}
	assert.Contains(t, d.end(os.Interrupt).out, "NODE_EXTRA_CA_CERTS="+file)

	again := startDiscord(t, "--tls", "--tls-dir", dir)
	res, err := client("localhost").Get(again.API + "/api/v10/gateway")
	require.NoError(t, err, "the authority is the same")
	_ = res.Body.Close()

	require.NoError(t, os.WriteFile(file, []byte("x"), 0o600))
	got := run(t, "fake-discord", "--port", "0", "--tls", "--tls-dir", dir)
	assert.Equal(t, 1, got.code)
	assert.Contains(t, got.err, file+" is no authority that can be used (it is not in PEM): delete it and ca-key.pem, and a new one is made\n")
}

// The first server to start makes the authority, and all others use it.
func TestFakeDiscord_StartsAtOnceShareAnAuthority(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "authority")
	servers := make([]*fakeDiscord, 4)
	var all sync.WaitGroup
	for i := range servers {
		all.Go(func() { servers[i] = startDiscord(t, "--tls", "--tls-dir", dir) })
	}
	all.Wait()
	authority, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(authority))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	for _, d := range servers {
		res, err := client.Get(d.API + "/api/v10/gateway")
		if assert.NoError(t, err) {
			_ = res.Body.Close()
		}
	}
}
