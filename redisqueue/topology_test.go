package redisqueue_test

// Settings that docs/operations.md and deploy/ give, on each topology that they
// are given for.

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// topology is a Redis of some kind.
type topology struct {
	servers []*redistest.Server
	masters int // the first of servers, at the start
	client  func(user, password string) redis.Scripter
}

func (o topology) admins(t *testing.T) (all, masters []*redis.Client) {
	for _, s := range o.servers {
		all = append(all, s.Client(t))
	}
	return all, all[:o.masters]
}

// onEachTopology runs a test on one server, on a replicated one with Sentinels
// and on a Cluster, started with args, which may depend on whether there are
// replicas.
func onEachTopology(t *testing.T, args func(replicas bool) []string, test func(*testing.T, topology)) {
	t.Helper()
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	t.Run("server", func(t *testing.T) {
		server := redistest.Start(t, args(false)...)
		test(t, topology{[]*redistest.Server{server}, 1, func(user, password string) redis.Scripter {
			return server.Client(t, func(o *redis.Options) {
				o.Username, o.Password, o.DisableIdentity, o.MaintNotificationsConfig = user, password, true, quiet
			})
		}})
	})
	t.Run("sentinel", func(t *testing.T) {
		s := redistest.Default(t).StartSentinel(t, 1, args(true)...)
		test(t, topology{s.Servers, 1, func(user, password string) redis.Scripter {
			return s.Client(t, func(o *redis.FailoverOptions) {
				o.Username, o.Password, o.DisableIdentity = user, password, true
			})
		}})
	})
	t.Run("cluster", func(t *testing.T) {
		c := redistest.Default(t).StartCluster(t, 3, 1, args(true)...)
		test(t, topology{c.Servers, 3, func(user, password string) redis.Scripter {
			return c.Client(t, func(o *redis.ClusterOptions) {
				o.Username, o.Password, o.DisableIdentity, o.MaintNotificationsConfig = user, password, true, quiet
			})
		}})
	})
}

// The line in docs/operations.md, and what it adds for a Cluster.
func TestTheMinimalACLSufficesOnEachTopology(t *testing.T) {
	t.Parallel()
	onEachTopology(t, func(bool) []string { return nil }, func(t *testing.T, o topology) {
		var line []any
		for _, word := range strings.Fields(minimalACL) {
			line = append(line, word)
		}
		if o.masters > 1 {
			line = append(line, "+cluster|slots", "+command")
		}
		all, masters := o.admins(t)
		for _, admin := range all {
			require.NoError(t, admin.Do(t.Context(), line...).Err())
		}
		wholeLife(t, o.client("gatewayqueue", "secret"), masters...)
		for _, admin := range all {
			denied, err := admin.Do(t.Context(), "ACL", "LOG").Slice()
			require.NoError(t, err)
			require.Empty(t, denied, "nothing was tried that is not allowed")
		}
	})
}

// settings are those of deploy/redis.conf as arguments of a server; with
// replicas, also those that it has in its comments for them.
func settings(t *testing.T, replicas bool) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "deploy", "redis.conf"))
	require.NoError(t, err)
	var args []string
	for _, found := range regexp.MustCompile(`(?m)^(#   )?([a-z-]+) (.+)$`).FindAllStringSubmatch(string(text), -1) {
		forReplicas := strings.HasPrefix(found[2], "min-replicas-")
		require.Equal(t, forReplicas, found[1] != "" && forReplicas, "a setting that is no comment, and one for replicas that is")
		if found[1] == "" || forReplicas && replicas {
			args = append(args, "--"+found[2], strings.Trim(found[3], `"`))
		}
	}
	require.Contains(t, args, "--maxmemory-policy")
	return args
}

func TestRedisConfSufficesOnEachTopology(t *testing.T) {
	t.Parallel()
	onEachTopology(t, func(replicas bool) []string { return settings(t, replicas) }, func(t *testing.T, o topology) {
		all, masters := o.admins(t)
		for _, admin := range all {
			policy, err := admin.ConfigGet(t.Context(), "maxmemory-policy").Result()
			require.NoError(t, err)
			require.Equal(t, "noeviction", policy["maxmemory-policy"])
			least, err := admin.ConfigGet(t.Context(), "min-replicas-to-write").Result()
			require.NoError(t, err)
			require.Equal(t, len(all) > 1, least["min-replicas-to-write"] == "1")
		}
		wholeLife(t, o.client("", ""), masters...)
	})
}
