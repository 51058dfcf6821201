// Every command on every kind of Redis, and what each says of the wrong kind.

package main_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

func TestTopology_EveryCommandOnEveryKindOfRedis(t *testing.T) {
	t.Parallel()
	for kind, start := range map[string]func(t *testing.T) string{
		"one server": func(t *testing.T) string { return "redis://" + redistest.Start(t).Addr },
		"a socket": func(t *testing.T) string {
			path := t.TempDir() + "/redis.sock"
			redistest.Start(t, "--unixsocket", path)
			return "unix://" + path
		},
		"Sentinel": func(t *testing.T) string {
			return "redis-sentinel://" + strings.Join(redistest.StartSentinel(t, 1).Addrs, ",") + "/mymaster"
		},
		"a Cluster": func(t *testing.T) string {
			return "redis-cluster://" + strings.Join(redistest.StartCluster(t, 3, 0).Addrs, ",")
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			url := start(t)
			s := serve(t, []string{"REDIS_URL=" + url}, "--fresh-start", "--max-concurrency", "8")
			code, _ := s.get("/?shard=0")
			require.Equal(t, 200, code, s.Log())
			_, body := s.get("/readyz")
			assert.Equal(t, "ready\n", body)
			assert.Contains(t, s.Log(), "queue="+url)

			got := run(t, "wait", "--shard", "1", "--timeout", "1m", "--redis", url)
			assert.Zero(t, got.code, got.err)
			got = run(t, "status", "--json", "--redis", url)
			assert.Zero(t, got.code, got.err)
			assert.Contains(t, got.out, `"max_concurrency": 8`)
			got = run(t, "demo", "--redis", url, "--shards", "4", "--pods", "2", "--window", "200ms", "--plain")
			assert.Zero(t, got.code, got.err)
		})
	}
}

func TestTopology_NeverReadyWhereNothingCanBeGranted(t *testing.T) {
	t.Parallel()
	sentinel := redistest.StartSentinel(t, 1)
	replica := sentinel.Servers[0]
	if replica == sentinel.Master(t) {
		replica = sentinel.Servers[1]
	}
	plain := redistest.Start(t)
	client := plain.Client(t)
	require.NoError(t, client.Do(t.Context(), "ACL", "SETUSER", "poor", "on", ">pw", "~*", "+ping", "+info", "+hget").Err())
	for _, c := range []struct{ what, url, why, log string }{
		{"a replica", "redis://" + replica.Addr, "Redis is a replica", "give the URL of its primary"},
		{"a user without rights", "redis://poor:pw@" + plain.Addr, "the Redis user may not run the queue's scripts", ""},
		{"nobody", "redis://127.0.0.1:1", "the queue cannot be read", "nothing listens there"},
		{"no Sentinel", "redis-sentinel://127.0.0.1:1/mymaster", "the queue cannot be read", "is the name of the master right"},
		{"no node", "redis-cluster://127.0.0.1:1", "the queue cannot be read", "nothing listens there"},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil, "--redis", c.url, "--fresh-start")
			for range 3 {
				code, body := s.get("/readyz")
				assert.Equal(t, 503, code)
				assert.Equal(t, "not ready: "+c.why+"\n", body)
				code, _ = s.get("/healthz")
				assert.Equal(t, 200, code)
				time.Sleep(1100 * time.Millisecond) // it looks once a second
			}
			assert.Contains(t, s.Log(), c.log)
		})
	}
	for url, want := range map[string]string{
		"redis://" + sentinel.Addrs[0]:                      "this is a Sentinel: write redis-sentinel://",
		"redis-cluster://" + plain.Addr:                     "this is no Cluster: write redis://",
		"redis-sentinel://" + plain.Addr + "/master":        "this is no Sentinel",
		"redis-sentinel://" + sentinel.Addrs[0] + "/nobody": "is the name of the master right",
	} {
		for _, command := range []string{"serve --port 0", "wait --shard 0", "status", "demo"} {
			got := run(t, append(strings.Fields(command), "--redis", url)...)
			assert.NotZero(t, got.code, "%s %s", command, url)
			assert.Contains(t, got.err, want, "%s %s", command, url)
		}
	}
}

func TestTopology_ATotalOfNothingIsNeverReady(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, s := range []*served{serve(t, nil, "--fresh-start"), serve(t, nil, "--fresh-start", "--redis", "redis://"+server.Addr)} {
		r := s.call("POST", "/v1/identifies", `{"shard":0}`)
		require.Equal(t, 200, r.code, r.text)
		require.Equal(t, 204, s.call("PUT", "/v1/limits", `{"total":0,"remaining":0,"reset_after":3600000,"max_concurrency":1}`).code)
		require.Eventually(t, func() bool {
			_, body := s.get("/readyz")
			return body == "not ready: under these limits nothing is ever granted\n"
		}, time.Minute, 100*time.Millisecond, s.Log())
	}
}

func TestReadyz_AsksOneKeyASecondAndAPageThatNobodyViewsNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := serve(t, nil, "--fresh-start", "--redis", "redis://"+server.Addr)
	require.Equal(t, 200, s.call("POST", "/v1/identifies", `{"shard":0}`).code)
	client := server.Client(t)
	time.Sleep(3 * time.Second) // the window is over, and whatever follows it
	calls := func() (n int64) {
		for _, name := range []string{"evalsha", "eval"} {
			for _, line := range strings.Split(client.Info(t.Context(), "commandstats").Val(), "\r\n") {
				if rest, ok := strings.CutPrefix(line, "cmdstat_"+name+":calls="); ok {
					var count int64
					for _, digit := range rest {
						if digit < '0' || digit > '9' {
							break
						}
						count = 10*count + int64(digit-'0')
					}
					n += count
				}
			}
		}
		return n
	}
	before := calls()
	time.Sleep(3 * time.Second)
	assert.Equal(t, before, calls(), "nobody looks, so nothing is asked")
	start := time.Now()
	for range 50 {
		s.get("/readyz")
		time.Sleep(20 * time.Millisecond)
	}
	asked := calls() - before
	assert.Positive(t, asked)
	assert.LessOrEqual(t, asked, int64(time.Since(start)/time.Second)+2, "however many probe")
}
