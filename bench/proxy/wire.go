package proxy

// What both ends have in common: frames, the handshake's answer, a certificate, and
// how long messages took.

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // The protocol asks for it.
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math"
	"math/big"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gatewayqueue/gatewayqueue/internal/wsframe"
)

// readFrame reads a frame, which is a whole message here, into buf if there is room.
func readFrame(in *bufio.Reader, buf []byte) (opcode byte, payload []byte, err error) {
	var h wsframe.Header
	for need, ok := 2, false; !ok; need++ {
		p, err := in.Peek(need)
		if err != nil {
			return 0, buf, err
		}
		h, ok = wsframe.Parse(p)
	}
	_, _ = in.Discard(h.Size) // It was peeked at.
	payload = slices.Grow(buf[:0], int(h.Payload))[:h.Payload]
	if _, err := io.ReadFull(in, payload); err != nil {
		return 0, payload, err
	}
	if h.Masked {
		wsframe.Unmask(h.Mask, 0, payload)
	}
	return h.Opcode, payload, nil
}

// acceptOf is the answer to a handshake's key.
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // As above.
	return base64.StdEncoding.EncodeToString(sum[:])
}

// certificate makes one for 127.0.0.1 that signs itself. Records are whole from the
// start, so that a message is one, as later on a connection that lives for long.
func certificate() (*tls.Config, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	of := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, of, of, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS13, DynamicRecordSizingDisabled: true,
	}
	return config, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// histogram counts durations in steps of about 2 %.
type histogram struct{ counts [1024]atomic.Int64 }

// perStep is the logarithm of the ratio of two steps.
const perStep = 0.02

func (h *histogram) add(nanoseconds int64) {
	step := 0
	if nanoseconds > 1000 {
		step = min(len(h.counts)-1, int(math.Log(float64(nanoseconds)/1000)/perStep)+1)
	}
	h.counts[step].Add(1)
}

func (h *histogram) reset() {
	for i := range h.counts {
		h.counts[i].Store(0)
	}
}

// at is the duration in us below which the given share of all is.
func (h *histogram) at(share float64) float64 {
	total := int64(0)
	for i := range h.counts {
		total += h.counts[i].Load()
	}
	sum := int64(0)
	for i := range h.counts {
		if sum += h.counts[i].Load(); float64(sum) >= share*float64(total) && total > 0 {
			return math.Exp(float64(i) * perStep)
		}
	}
	return 0
}
