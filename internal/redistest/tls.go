package redistest

// A server that speaks TLS only, under a certificate made for the test.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// StartTLS starts a server that speaks TLS only. Its clients trust it; see
// [Server.TLS].
func (b Binary) StartTLS(t testing.TB, args ...string) *Server {
	t.Helper()
	port := reservePort(t)
	s := b.newServer(t, port)
	cert, key := s.makeCertificate(t)
	s.args = append(s.defaults(),
		"--port", "0", "--tls-port", strconv.Itoa(port), "--tls-auth-clients", "no",
		"--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert)
	s.args = append(s.args, args...)
	s.start(nil)
	return s
}

// TLS is what a client of this server needs, or nil if it speaks no TLS.
func (s *Server) TLS() *tls.Config { return s.tls.Clone() }

// makeCertificate writes a certificate of its own authority and its key.
func (s *Server) makeCertificate(t testing.TB) (cert, key string) {
	t.Helper()
	private := must(t, "make a key", func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der := must(t, "make a certificate", func() ([]byte, error) {
		return x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	})
	pkcs8 := must(t, "write a key", func() ([]byte, error) { return x509.MarshalPKCS8PrivateKey(private) })
	parsed := must(t, "read a certificate", func() (*x509.Certificate, error) { return x509.ParseCertificate(der) })

	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	s.tls = &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
	return s.writePEM(t, "cert.pem", "CERTIFICATE", der), s.writePEM(t, "key.pem", "PRIVATE KEY", pkcs8)
}

func (s *Server) writePEM(t testing.TB, name, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(s.Dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatalf("redistest: %v", err)
	}
	return file
}
