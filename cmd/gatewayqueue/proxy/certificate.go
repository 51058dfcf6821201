// The proxy's certificate, for libraries that insist on wss.

package proxy

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
)

// lookEvery is how often it is looked whether the files have changed: at a handshake, so
// that nothing runs while nobody comes.
const lookEvery = time.Second

// certificate is one in two files, which are read again when they change, as
// cert-manager and certbot change them.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex
	now    *tls.Certificate
	stamps [2]stamp  // of the files that were read last, whether they would do or not
	looked time.Time // when they were
}

// stamp is what changes with a file, also with what a link leads to.
type stamp struct {
	modified time.Time
	size     int64
}

// openCertificate reads it; without files it is nil.
func openCertificate(cert, key string, log *slog.Logger) (*certificate, error) {
	if cert == "" {
		return nil, nil //nolint:nilnil // No files, no certificate.
	}
	c := &certificate{cert: cert, key: key, log: log}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, cli.Usage("--tls-cert and --tls-key: %v", err)
	}
	c.now, c.stamps, c.looked = &pair, c.stamp(), time.Now()
	return c, nil
}

func (c *certificate) stamp() (now [2]stamp) {
	for i, file := range []string{c.cert, c.key} {
		if info, err := os.Stat(file); err == nil {
			now[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return now
}

// config is the listener's. WebSockets are HTTP/1.1.
func (c *certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.get(), nil },
	}
}

// get is the certificate as it is in the files, or as it was before if they do not go
// together, as between the two writes of a program that replaces them.
func (c *certificate) get() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.looked) < lookEvery {
		return c.now
	}
	c.looked = time.Now()
	stamps := c.stamp()
	if stamps == c.stamps {
		return c.now
	}
	c.stamps = stamps
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		c.log.Warn("the certificate has changed, and cannot be used: the one before it stays", "error", fmt.Errorf("--tls-cert and --tls-key: %w", err))
		return c.now
	}
	c.log.Info("the certificate was read again")
	c.now = &pair
	return c.now
}
