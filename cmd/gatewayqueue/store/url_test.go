package store_test

import (
	"net"
	"net/url"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/store"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

func TestURL_EachFormMakesItsClient(t *testing.T) {
	for form, shown := range map[string]string{
		"redis://localhost":                                           "redis://localhost:6379",
		"redis://queue-redis.default.svc:6380/3":                      "redis://queue-redis.default.svc:6380/3",
		"redis://[::1]:6379":                                          "redis://[::1]:6379",
		"redis://[::1]":                                               "redis://[::1]:6379",
		"redis://[fe80::1%25eth0]:6379":                               "redis://[fe80::1%eth0]:6379",
		"rediss://bot:s3cret@h:1/0?dial_timeout=3s":                   "rediss://...@h:1/0",
		"unix:///run/redis.sock":                                      "unix:///run/redis.sock",
		"unix://:s3cret@/run/redis.sock?db=2":                         "unix://...@/run/redis.sock",
		"redis-sentinel://a:26379,b:26380,[::1]/mymaster":             "redis-sentinel://a:26379,b:26380,[::1]:26379/mymaster",
		"redis-sentinel://:s3cret@a/m/4?sentinel_password=s3cret":     "redis-sentinel://...@a:26379/m/4",
		"rediss-sentinel://a/m?server_name=redis.example&pool_size=3": "rediss-sentinel://a:26379/m",
		"redis-cluster://u:s3cret@a:7000,b:7001":                      "redis-cluster://...@a:7000,b:7001",
		"rediss-cluster://a/0":                                        "rediss-cluster://a:6379/0",
	} {
		s, err := store.Lazy(form)
		if assert.NoError(t, err, form) {
			assert.Equal(t, shown, s.String())
			assert.NoError(t, s.Impatient().Close())
			assert.NoError(t, s.Close())
		}
	}
}

func TestURL_RefusedWithTheReason(t *testing.T) {
	for url, want := range map[string]string{
		"redis://a,b":                    "several servers are redis-sentinel:// or redis-cluster://",
		"redis-sentinel://a:26379":       "the name of the master is missing",
		"redis-cluster://a/1":            "a Cluster has only database 0",
		"redis://::1:6379":               "an IPv6 address needs brackets, [::1]:6379",
		"redis://[::1:6379":              "a [ without an IPv6 address and a ]",
		"redis://[127.0.0.1]:6379":       "a [ without an IPv6 address and a ]",
		"redis://:6379":                  "a host is missing",
		"redis://host:0":                 "a port that is no number from 1 to 65535",
		"redis://host:http":              "a port that is no number from 1 to 65535",
		"redis://h/1/2":                  "more than a database",
		"redis://h/first":                `"first" is no database`,
		"redis://h?pool=3":               "unexpected option: pool",
		"redis-cluster://h?read_only=1":  "read_only has no meaning here",
		"unix://run/redis.sock":          "three slashes",
		"redis://user@host":              "there is no password in front of the @",
		"redis:/host":                    "none of these schemes",
		"REDIS://host":                   "none of these schemes",
		"redis://ho st":                  "no name and no address",
		"redis-sentinel://a,,b/mymaster": "a host is missing",
	} {
		_, err := store.Lazy(url)
		assert.ErrorContains(t, err, want, url)
	}
}

// passwords as people and password generators make them, not escaped.
var passwords = []string{
	"Zm9vYmFyc2VjcmV0/YmFy+cXV4", "s3cret/x", "s3@cret", "s3:cret", "s3cret?x", "s3cret#x", "s3%cret", "s3%zzcret", "s3 cret", "s3cret/1",
	"12/s3cret", "s3cret\x7f", "s3]cret[", "s3cret\n", "@", "/s3cret", "?s3cret=1", "#s3cret", "//s3cret@s3cret",
}

func TestURL_NoErrorQuotesWhatStandsBeforeTheLastAt(t *testing.T) {
	for _, password := range passwords {
		for _, form := range []string{
			"redis://:%s@redis:6379", "redis://b0tuser:%s@redis:6379/0", "rediss://%s@redis", "redis//u:%s@redis:6379", "redis:u:%s@redis:6379", ":%s@redis",
			"redis-sentinel://:%s@a,b/mymaster", "redis-cluster://b0tuser:%s@a,b", "unix://:%s@/run/redis.sock", "http://b0tuser:%s@redis", "redis:///b0tuser:%s@redis",
			"redis://:%s@redis:notaport", "redis://:%s@redis/nodb", "redis://:%s@redis?nothing=1",
		} {
			url := strings.ReplaceAll(form, "%s", password)
			s, err := store.Lazy(url)
			said := store.Redact(url)
			if err != nil {
				said += err.Error()
			} else {
				said += s.String()
				require.NoError(t, s.Close())
			}
			for _, part := range []string{"s3cret", "b0tuser", "Zm9v", "YmFy", "cXV4"} {
				assert.NotContains(t, said, part, "%q", url)
			}
		}
	}
}

func TestURL_EscapedPasswordsArrive(t *testing.T) {
	t.Parallel()
	const password = `a/b@c:d?e#f%g h+i`
	server := redistest.Start(t, "--requirepass", password)
	at := "redis://:" + url.PathEscape(password) + "@" + server.Addr
	at = strings.NewReplacer(password, "", "@c", "%40c", ":d", "%3Ad").Replace(at)
	s, err := store.Open(t.Context(), at)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	assert.Contains(t, store.Secrets(at), password)
}

func FuzzURL_ShowsNoSecret(f *testing.F) {
	for _, password := range passwords {
		f.Add("redis://:", password, "@redis:6379/0")
	}
	f.Fuzz(func(t *testing.T, before, password, after string) {
		const secret = "q7Zk2"
		raw := before + secret + password + "@" + after
		said := store.Redact(raw)
		s, err := store.Lazy(raw)
		if err != nil {
			said += err.Error()
		} else {
			said += s.String()
			_ = s.Close() // It was never used.
		}
		if !strings.Contains(after, secret) && strings.Contains(said, secret) {
			t.Fatalf("%q is shown as %q", raw, said)
		}
	})
}

// TestURL_TheWrongKindOfServerIsNamed asks real servers of each kind by the URL
// of each other kind.
func TestURL_TheWrongKindOfServerIsNamed(t *testing.T) {
	t.Parallel()
	plain := redistest.Start(t)
	sentinel := redistest.StartSentinel(t, 1)
	cluster := redistest.StartCluster(t, 3, 0)
	const app = "kinds"
	owner := cluster.Owner(t, "identify:{"+app+"}:limits").Addr
	other := cluster.Addrs[0]
	if other == owner {
		other = cluster.Addrs[1]
	}
	master := sentinel.Master(t)
	replica := sentinel.Servers[0]
	if replica == master {
		replica = sentinel.Servers[1]
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, free.Close())
	for url, want := range map[string]struct{ refused, warned string }{
		"redis://" + plain.Addr: {},
		"redis-sentinel://" + strings.Join(sentinel.Addrs, ",") + "/mymaster":              {},
		"redis-sentinel://" + free.Addr().String() + "," + sentinel.Addrs[1] + "/mymaster": {},
		"redis-cluster://" + cluster.Addrs[2]:                                              {},
		"redis://" + sentinel.Addrs[0]:                                                     {refused: "this is a Sentinel: write redis-sentinel://"},
		"redis://" + replica.Addr:                                                          {warned: "this is a replica: give the URL of its primary"},
		"redis://" + owner:                                                                 {warned: "this is a node of a Cluster: write redis-cluster://"},
		"redis://" + other:                                                                 {refused: "this is a node of a Cluster: write redis-cluster://"},
		"redis-cluster://" + plain.Addr:                                                    {refused: "this is no Cluster: write redis://"},
		"redis-cluster://" + sentinel.Addrs[0]:                                             {refused: "this is a Sentinel: write redis-sentinel://"},
		"redis-sentinel://" + plain.Addr + "/mymaster":                                     {refused: "this is no Sentinel: write redis://"},
		"redis-sentinel://" + sentinel.Addrs[0] + "/nobody":                                {refused: "is the name of the master right"},
		"redis://" + free.Addr().String():                                                  {warned: "nothing listens there"},
	} {
		s, err := store.Lazy(url)
		require.NoError(t, err, url)
		var warned string
		err = s.Meet(t.Context(), app, func(_ string, err error) { warned = err.Error() })
		if want.refused != "" {
			assert.ErrorContains(t, err, want.refused, url)
		} else {
			assert.NoError(t, err, url)
		}
		if want.warned != "" {
			assert.Contains(t, warned, want.warned, url)
		} else {
			assert.Empty(t, warned, url)
		}
		require.NoError(t, s.Close())
	}
}

func TestKeys_OfACluster(t *testing.T) {
	t.Parallel()
	cluster := redistest.StartCluster(t, 3, 0)
	s, err := store.Open(t.Context(), "redis-cluster://"+strings.Join(cluster.Addrs, ","))
	require.NoError(t, err)
	defer s.Close()
	for _, app := range []string{"a", "b", "c", "d", "e"} {
		for _, key := range []string{"limits", "opens"} {
			require.NoError(t, s.Client.Set(t.Context(), "identify:{"+app+"}:"+key, 1, 0).Err())
		}
	}
	apps, err := s.Apps(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"a", "b", "c", "d", "e"}, apps)
	n, err := s.Remove(t.Context(), "c")
	require.NoError(t, err)
	assert.Equal(t, 2, n)
	assert.IsType(t, (*redis.ClusterClient)(nil), s.Client)
}
