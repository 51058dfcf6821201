// gatewayqueue proxy with a certificate, for libraries that insist on wss.

package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writeCertificate writes a certificate for 127.0.0.1 into two files.
func writeCertificate(t *testing.T, pool *x509.CertPool, serial int64, cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	made, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool.AddCert(made)
	keyDER, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}), 0o600))
}

func TestProxy_SpeaksTLSAndReadsItsCertificateAgain(t *testing.T) {
	t.Parallel()
	cert, key := filepath.Join(t.TempDir(), "tls.crt"), filepath.Join(t.TempDir(), "tls.key")
	pool := x509.NewCertPool()
	writeCertificate(t, pool, 1, cert, key)
	d := proxyDiscord(t, 1)
	p := startProxy(t, d, nil, "--fresh-start", "--tls-cert", cert, "--tls-key", key)
	require.Regexp(t, `^https://127\.0\.0\.1:`, p.URL)
	config := &tls.Config{RootCAs: pool}
	b := newBot(0, 1)
	b.client = &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
	require.NoError(t, b.ready(t.Context(), p.gatewayURL()))
	assert.Regexp(t, `^wss://`+p.addrTLS()+`/resume/`, b.resume)
	require.NoError(t, b.conn.CloseNow())
	require.NoError(t, b.dial(t.Context(), b.resume))
	require.NoError(t, b.sendResume(t.Context()))
	require.NoError(t, b.await(t.Context(), "RESUMED"))

	serial := func() int64 {
		conn, err := tls.Dial("tcp", p.addrTLS(), &tls.Config{RootCAs: pool, NextProtos: []string{"h2", "http/1.1"}})
		require.NoError(t, err)
		defer conn.Close()
		assert.Equal(t, "http/1.1", conn.ConnectionState().NegotiatedProtocol)
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	assert.EqualValues(t, 1, serial())
	require.NoError(t, os.WriteFile(cert, []byte("-----BEGIN"), 0o600)) // half of it is there
	require.Eventually(t, func() bool {
		return serial() == 1 && strings.Contains(p.Log(), "the certificate has changed, and cannot be used: the one before it stays")
	}, time.Minute, 100*time.Millisecond)
	writeCertificate(t, pool, 2, cert, key)
	require.Eventually(t, func() bool { return serial() == 2 }, time.Minute, 100*time.Millisecond)
	go func() { _ = p.cmd.Process.Signal(syscall.SIGTERM) }() // It is there.
	assert.EqualValues(t, 4000, b.closeCode(t.Context()), "bots are closed in order, also below TLS")
	<-p.read
	_ = p.cmd.Wait() // The code is what counts.
	assert.Zero(t, p.cmd.ProcessState.ExitCode(), p.Log())
	judged(t, d, 1)
}

func (s *served) addrTLS() string { return strings.TrimPrefix(s.URL, "https://") }
