// TLS: an authority that is made once, so that a bot has to trust it once, and a
// certificate of it that each start makes.

package fakediscord

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

const (
	authorityFile = "ca.pem"
	keyFile       = "ca-key.pem"

	authorityLife   = 10 * 365 * day
	certificateLife = 90 * day
)

// namesOfDiscord are those that a bot which is not told otherwise asks for.
var namesOfDiscord = []string{"discord.com", "gateway.discord.gg", "*.discord.gg", "discordapp.com"}

type authority struct {
	file string // what bots must trust
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// directory is where the authority is kept unless it is said.
func directory(dir string) (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("there is no place for the certificate's authority (%w): --tls-dir names one", err)
	}
	return filepath.Join(cache, "gatewayqueue", "fake-discord"), nil
}

// patience is how long another start may take to make an authority.
const patience = 5 * time.Second

// openAuthority reads the authority in dir, or makes it. The process that creates
// the key's file makes it; others wait until it is there.
func openAuthority(dir string) (*authority, error) {
	a := &authority{file: filepath.Join(dir, authorityFile)}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("the certificate's authority cannot be kept (--tls-dir): %w", err)
	}
	key, err := os.OpenFile(filepath.Join(dir, keyFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case err == nil:
		return a, a.make(key)
	case !errors.Is(err, os.ErrExist):
		return nil, fmt.Errorf("the certificate's authority cannot be kept (--tls-dir): %w", err)
	}
	for begun := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if err = a.read(dir); err == nil {
			return a, nil
		}
		if time.Since(begun) > patience || !errors.Is(err, os.ErrNotExist) && !errors.Is(err, errNoPEM) {
			return nil, fmt.Errorf("%s is no authority that can be used (%w): delete it and %s, and a new one is made", a.file, err, keyFile)
		}
	}
}

func (a *authority) read(dir string) error {
	certificate, err := os.ReadFile(a.file)
	if err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(dir, keyFile))
	if err != nil {
		return err
	}
	return a.parse(certificate, key)
}

// errNoPEM is a file that is not written yet, or no key or certificate.
var errNoPEM = errors.New("it is not in PEM")

func (a *authority) parse(certificate, key []byte) (err error) {
	certBlock, _ := pem.Decode(certificate)
	keyBlock, _ := pem.Decode(key)
	if certBlock == nil || keyBlock == nil {
		return errNoPEM
	}
	if a.cert, err = x509.ParseCertificate(certBlock.Bytes); err != nil {
		return err
	}
	if a.key, err = x509.ParseECPrivateKey(keyBlock.Bytes); err != nil {
		return err
	}
	switch {
	case !a.key.PublicKey.Equal(a.cert.PublicKey):
		return errors.New("its key is another's")
	case time.Now().After(a.cert.NotAfter.Add(-certificateLife)):
		return errors.New("its time is over")
	}
	return nil
}

// make makes an authority, whose key goes into the file.
func (a *authority) make(to *os.File) (err error) {
	defer func() { err = errors.Join(err, to.Close()) }()
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "gatewayqueue fake-discord, for tests only"},
		NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(authorityLife),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		return err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	key, err := x509.MarshalECPrivateKey(a.key)
	if err != nil {
		return err
	}
	// The key first: a certificate that is there has one.
	if err = pem.Encode(to, &pem.Block{Type: "EC PRIVATE KEY", Bytes: key}); err == nil {
		err = os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
	}
	if err != nil {
		return fmt.Errorf("the certificate's authority cannot be kept (--tls-dir): %w", err)
	}
	return nil
}

// issue makes a certificate for names and addresses.
func (a *authority) issue(names []string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "gatewayqueue fake-discord"},
		NotBefore: time.Now().Add(-day), NotAfter: time.Now().Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"}, // WebSockets are HTTP/1.1
	}, nil
}

// names are those of the certificate.
func (c *config) names() []string {
	names := append([]string{"localhost", "127.0.0.1", "::1"}, namesOfDiscord...)
	if ip := net.ParseIP(c.Host); ip == nil || !ip.IsUnspecified() {
		names = append(names, c.Host)
	}
	if c.ResumeHost != "" {
		names = append(names, c.ResumeHost)
	}
	return append(names, c.TLSNames...)
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err) // never: see crypto/rand
	}
	return n
}
