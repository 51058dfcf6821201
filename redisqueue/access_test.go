package redisqueue_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/lua"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// minimalACL is the line that docs/operations.md quotes.
//
//go:embed testdata/acl.txt
var minimalACL string

func TestTheMinimalACLNamesWhatTheScriptsCallAndNothingElse(t *testing.T) {
	want := []string{"+eval", "+evalsha"}
	for _, script := range []*lua.Script{
		lua.Claim, lua.Identified, lua.Renew, lua.Abandon, lua.Beat, lua.Sync,
		lua.Status, lua.Ready, lua.Postpone, lua.Remember, lua.Sight, lua.RenewMany,
		lua.Record, lua.History,
		lua.Pause, lua.Audit,
	} {
		for _, call := range regexp.MustCompile(`redis\.p?call\('([A-Z]+)'`).FindAllStringSubmatch(script.Source, -1) {
			want = append(want, "+"+strings.ToLower(call[1]))
		}
		for _, call := range regexp.MustCompile(`redis\.p?call\(([^'].*)`).FindAllString(script.Source, -1) {
			t.Errorf("this test cannot read %s", call)
		}
	}
	slices.Sort(want)
	want = slices.Compact(want)
	_, commands, _ := strings.Cut(minimalACL, "-@all ")
	got := strings.Fields(commands)
	slices.Sort(got)
	require.Equal(t, want, got)
}

func TestTheMinimalACLSuffices(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Binary) {
		server := b.Start(t)
		admin := server.Client(t)
		var line []any
		for _, word := range strings.Fields(minimalACL) {
			line = append(line, word)
		}
		require.NoError(t, admin.Do(t.Context(), line...).Err())
		wholeLife(t, server.Client(t, func(o *redis.Options) {
			o.Username, o.Password = "gatewayqueue", "secret"
			o.DisableIdentity = true
			o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
		}), admin)
		denied, err := admin.Do(t.Context(), "ACL", "LOG").Slice()
		require.NoError(t, err)
		require.Empty(t, denied, "nothing was tried that is not allowed")
		wholeLife(t, server.Client(t, func(o *redis.Options) { o.Username, o.Password = "gatewayqueue", "secret" }), admin)
	})
}

func TestBothProtocolsOfRedis(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Binary) {
		server := b.Start(t)
		for _, protocol := range []int{2, 3} {
			t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
				wholeLife(t, server.Client(t, func(o *redis.Options) { o.Protocol = protocol }), server.Client(t))
			})
		}
	})
}

func TestTLSAndAPassword(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, b redistest.Binary) {
		server := b.Start(t)
		cert, key, roots := selfSigned(t, server.Dir)
		port := strconv.Itoa(server.Port + 7800) // redistest uses no port there
		server.Restart("--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key,
			"--tls-ca-cert-file", cert, "--tls-auth-clients", "no", "--requirepass", "secret")
		secure := func(o *redis.Options) {
			o.Addr, o.Password, o.TLSConfig = net.JoinHostPort("127.0.0.1", port), "secret", &tls.Config{RootCAs: roots}
		}
		wholeLife(t, server.Client(t, secure), server.Client(t, secure))

		q := open(t, server.Client(t, secure, func(o *redis.Options) { o.TLSConfig = &tls.Config{}; o.MaxRetries = -1; o.DialerRetries = 1 }), brief()...)
		require.Eventually(t, func() bool { // a server that is not known is not asked
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := q.Wait(ctx, 0)
			return err != nil && strings.Contains(err.Error(), "certificate")
		}, 20*time.Second, time.Millisecond)
	})
}

// wholeLife runs every script, as a bot would, on masters that admins flush.
func wholeLife(t *testing.T, client redis.Scripter, admins ...*redis.Client) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, admin := range admins {
		require.NoError(t, admin.FlushAll(ctx).Err())
	}
	q := open(t, client, brief(redisqueue.WithPermitLease(3*time.Second), redisqueue.WithPodLease(time.Second))...)
	require.NoError(t, q.Update(ctx, full(2)))
	require.NoError(t, q.Wait(ctx, 0))
	permit, err := q.Acquire(ctx, 1)
	require.NoError(t, err)
	deadline := permit.Deadline()
	require.Eventually(t, func() bool { return permit.Deadline().After(deadline) }, 10*time.Second, 5*time.Millisecond, "it is renewed")
	for _, admin := range admins {
		require.NoError(t, admin.Do(ctx, "SCRIPT", "FLUSH").Err())
	}
	require.NoError(t, permit.Identified(ctx))
	permit, err = q.Acquire(ctx, 2)
	require.NoError(t, err)
	require.NoError(t, permit.Abandon(ctx))
	permit, err = q.Acquire(ctx, 3)
	require.NoError(t, err)
	ended, end := context.WithCancel(ctx)
	gone := ask(ended, q, 3)
	for waiting := 0; waiting == 0; time.Sleep(5 * time.Millisecond) {
		status, err := q.Status(ctx)
		require.NoError(t, err)
		waiting = status.Waiting()
	}
	end()
	require.ErrorIs(t, <-gone, context.Canceled)
	require.NoError(t, permit.Identified(ctx))
	require.NoError(t, q.Pause(ctx, gatewayqueue.Order{Who: "alice", Why: "to see"}))
	require.NoError(t, q.Resume(ctx, gatewayqueue.Order{Who: "alice", Why: "seen"}))
	audit, err := q.Audit(ctx)
	require.NoError(t, err)
	require.Len(t, audit, 2)
	require.NoError(t, q.Update(ctx, full(3)))
	status, err := q.Status(ctx)
	require.NoError(t, err)
	require.Equal(t, gatewayqueue.BudgetStatus{Total: 1000, Remaining: 997, MaxConcurrency: 3, Reserve: 10, Reset: status.Budget.Reset}, status.Budget)
	require.NoError(t, q.Close())
}

// selfSigned writes a certificate for 127.0.0.1.
func selfSigned(t *testing.T, dir string) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gatewayqueue test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	encoded, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	write := func(name, kind string, data []byte) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600))
		return file
	}
	roots = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	roots.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "EC PRIVATE KEY", encoded), roots
}
