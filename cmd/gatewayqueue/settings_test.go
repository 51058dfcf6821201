// Settings: variables, files, addresses and secrets, in every command.

package main_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/fakediscord"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/internal/demo"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/pod"
	proxycommand "github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/proxy"
	servecommand "github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/serve"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/status"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/wait"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// links are the variables that Kubernetes sets in every pod for a Service, and
// Docker for a link, by the Service's name.
func links(service string) []string {
	name := strings.ToUpper(strings.ReplaceAll(service, "-", "_"))
	return []string{
		name + "_SERVICE_HOST=10.96.0.7", name + "_SERVICE_PORT=80", name + "_SERVICE_PORT_HTTP=80",
		name + "_PORT=tcp://10.96.0.7:80", name + "_PORT_80_TCP=tcp://10.96.0.7:80", name + "_PORT_80_TCP_PROTO=tcp",
		name + "_PORT_80_TCP_PORT=80", name + "_PORT_80_TCP_ADDR=10.96.0.7", name + "_NAME=/bot/" + service,
	}
}

func TestSettings_NoServicesNameIsAFlag(t *testing.T) {
	// What a flag's variable would have to be called to be taken for a link.
	link := regexp.MustCompile(`^[A-Z0-9_]+_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?|NAME)$`)
	for _, flags := range []*pflag.FlagSet{proxycommand.Command().Flags(), servecommand.Command().Flags(), wait.Command().Flags()} {
		flags.VisitAll(func(f *pflag.Flag) {
			name := cli.EnvName(f.Name)
			assert.NotRegexp(t, link, name)
			assert.Equal(t, strings.HasSuffix(name, "_PORT"), cli.Linked(name, "tcp://10.96.0.7:80"), "%s", name)
		})
	}
	for _, mine := range []string{"REDIS_URL", "DISCORD_TOKEN", "GATEWAYQUEUE_DISCORD_API", "GATEWAYQUEUE_URL"} {
		assert.False(t, cli.Linked(mine, "redis://10.96.0.7:80"), mine)
	}
	assert.True(t, cli.Linked("PORT", "tcp://10.96.0.7:80"))
	assert.False(t, cli.Linked("GATEWAYQUEUE_PORT", "8080"))
}

func TestSettings_ServicesOfAnyNameAreNoSettings(t *testing.T) {
	t.Parallel()
	var env []string
	for _, service := range []string{
		"gatewayqueue", "gatewayqueue-metrics", "gatewayqueue-redis", "redis", "discord", "host", "gatewayqueue-url", "gatewayqueue-auth-token",
	} {
		env = append(env, links(service)...)
	}
	s := serveWith(t, append(env, "PORT=0"), "--fresh-start", "--log-level", "debug")
	code, _ := s.get("/?shard=0")
	assert.Equal(t, 200, code)
	assert.Contains(t, s.Log(), "GATEWAYQUEUE_PORT")
	assert.Contains(t, s.Log(), "enableServiceLinks")

	cmd := command(t, "wait", "--shard", "1", "--url", s.URL)
	cmd.Env = append(cmd.Env, env...)
	assert.Zero(t, finish(t, cmd, func() {}).code)
}

func TestSettings_EmptyIsNotTheDefault(t *testing.T) {
	t.Parallel()
	blank := filepath.Join(t.TempDir(), "blank")
	require.NoError(t, os.WriteFile(blank, []byte(" \n"), 0o600))
	for _, c := range []struct{ command, set, want string }{
		{"serve", "GATEWAYQUEUE_AUTH_TOKEN=", "$GATEWAYQUEUE_AUTH_TOKEN is set but empty: give it a value, or unset it"},
		{"serve", "GATEWAYQUEUE_AUTH_TOKEN= ", "$GATEWAYQUEUE_AUTH_TOKEN is set but empty"},
		{"serve", "GATEWAYQUEUE_AUTH_TOKEN_FILE=", "$GATEWAYQUEUE_AUTH_TOKEN_FILE is set but empty"},
		{"serve", "GATEWAYQUEUE_AUTH_TOKEN_FILE=" + blank, "--auth-token-file: " + blank + " is empty"},
		{"serve", "GATEWAYQUEUE_AUTH_TOKEN=\ufeff0123456789abcdef", "$GATEWAYQUEUE_AUTH_TOKEN holds what is no letter, digit or sign of ASCII"},
		{"serve", "DISCORD_TOKEN=", "$DISCORD_TOKEN is set but empty"},
		{"serve", "GATEWAYQUEUE_DISCORD_TOKEN=", "$GATEWAYQUEUE_DISCORD_TOKEN is set but empty"},
		{"serve", "DISCORD_TOKEN_FILE=", "$DISCORD_TOKEN_FILE is set but empty"},
		{"serve", "DISCORD_TOKEN_FILE=" + blank, "--discord-token-file: " + blank + " is empty"},
		{"serve", "REDIS_URL=", "$REDIS_URL is set but empty"},
		{"serve", "GATEWAYQUEUE_REDIS=", "$GATEWAYQUEUE_REDIS is set but empty"},
		{"serve", "REDIS_URL_FILE=", "$REDIS_URL_FILE is set but empty"},
		{"serve", "REDIS_URL_FILE=" + blank, "--redis-file: " + blank + " is empty"},
		{"serve", "GATEWAYQUEUE_NO_LEGACY=", "$GATEWAYQUEUE_NO_LEGACY is set but empty"},
		{"serve", "GATEWAYQUEUE_MAX_CONCURRENCY=", "$GATEWAYQUEUE_MAX_CONCURRENCY is set but empty"},
		{"proxy", "GATEWAYQUEUE_AUTH_TOKEN=", "$GATEWAYQUEUE_AUTH_TOKEN is set but empty"},
		{"proxy", "REDIS_URL=", "$REDIS_URL is set but empty"},
		{"proxy", "GATEWAYQUEUE_GATEWAY_HOST=", "$GATEWAYQUEUE_GATEWAY_HOST is set but empty"},
		{"wait --shard 1", "GATEWAYQUEUE_AUTH_TOKEN=", "$GATEWAYQUEUE_AUTH_TOKEN is set but empty"},
		{"wait --shard 1", "REDIS_URL=", "$REDIS_URL is set but empty"},
		{"wait --shard 1", "DISCORD_TOKEN=", "$DISCORD_TOKEN is set but empty"},
		{"wait --shard 1", "GATEWAYQUEUE_URL=", "$GATEWAYQUEUE_URL is set but empty"},
		{"status", "REDIS_URL=", "$REDIS_URL is set but empty"},
		{"status", "REDIS_URL_FILE=" + blank, "--redis-file: " + blank + " is empty"},
		{"serve --redis=", "", "--redis is empty: give it a value, or leave it out"},
		{"serve --redis-file=", "", "--redis-file is empty"},
		{"serve --auth-token-file=", "", "--auth-token-file is empty"},
		{"serve --discord-token-file=", "", "--discord-token-file is empty"},
		{"serve --pod=", "", "--pod is empty"},
		{"serve --redis redis://h --redis-file " + blank, "", "--redis and --redis-file do not go together"},
		{"status --redis=", "", "--redis is empty"},
		{"wait --shard 1 --url=", "", "--url is empty"},
		{"wait --shard 1 --redis=", "", "--redis is empty"},
		{"demo --redis=", "", "--redis is empty"},
	} {
		cmd := command(t, strings.Fields(c.command)...)
		if c.set != "" {
			cmd.Env = append(cmd.Env, c.set)
		}
		got := finish(t, cmd, func() {})
		assert.Equal(t, 2, got.code, "%s %s", c.set, c.command)
		assert.Contains(t, got.err, c.want, "%s %s", c.set, c.command)
	}
	s := serve(t, []string{"HOST=", "PORT="}, "--fresh-start") // platforms set those
	assert.Regexp(t, `^http://127\.0\.0\.1:`, s.URL)
}

// What is blank is refused, whichever flag or variable it is.
func TestSettings_NothingThatIsSetIsBlank(t *testing.T) {
	t.Parallel()
	variables := []*cobra.Command{proxycommand.Command(), servecommand.Command(), wait.Command(), status.Command()}
	for _, c := range append(variables, demo.Command(), fakediscord.Command(), pod.Command()) {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			for _, blank := range []string{"", " ", " \t\n"} {
				got := run(t, c.Name(), "--"+f.Name+"="+blank)
				assert.Equal(t, result{"", fmt.Sprintf("gatewayqueue %s: --%s is empty: give it a value, or leave it out\n", c.Name(), f.Name), 2}, got, "%q", blank)
			}
		})
	}
	for _, c := range variables {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			for _, blank := range []string{"", " \t"} {
				cmd := command(t, c.Name())
				cmd.Env = append(cmd.Env, cli.EnvName(f.Name)+"="+blank)
				got := finish(t, cmd, func() {})
				assert.Equal(t, result{"", fmt.Sprintf("gatewayqueue %s: $%s is set but empty: give it a value, or unset it\n", c.Name(), cli.EnvName(f.Name)), 2}, got, "%q", blank)
			}
		})
	}
}

func TestSettings_BlanksAroundAValueAreCutOff(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url, file := "redis://"+server.Addr, filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(file, []byte(" "+url+" \n"), 0o600))
	s := serve(t, []string{"GATEWAYQUEUE_POD= server ", "GATEWAYQUEUE_REDIS_FILE= " + file + "\n", "GATEWAYQUEUE_BACKOFF= 7 "},
		"--fresh-start", "--app", " bot ", "--max-concurrency", " 8 ", "--allow-host", " queue.example.org , 10.0.0.7 ")
	for i, c := range []struct{ line, set string }{
		{"wait --shard ~0~ --url ~" + s.URL + "~", ""}, // first, so that the limits are the server's
		{"wait --shard 1 --app bot --redis ~" + url + "~", ""},
		{"wait --app bot --shard 2", "REDIS_URL= " + url + " "},
		{"wait --shard 3", "GATEWAYQUEUE_URL=\t" + s.URL + " "},
		{"status --redis-file ~" + file + "~", "GATEWAYQUEUE_APP= bot "},
	} {
		var args []string
		for _, word := range strings.Fields(c.line) {
			args = append(args, strings.ReplaceAll(word, "~", " "))
		}
		cmd := command(t, args...)
		cmd.Env = append(cmd.Env, c.set)
		got := finish(t, cmd, func() {})
		assert.Zero(t, got.code, "%d: %s: %s", i, c.line, got.err)
	}
	for _, host := range []string{"queue.example.org", "10.0.0.7"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodDelete, s.URL+"/v1/waits/none", http.NoBody)
		require.NoError(t, err)
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		assert.Equal(t, http.StatusNotFound, resp.StatusCode, "not 403: the host is allowed")
	}
}

func TestSettings_ARedisURLComesFromAFile(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "s3cret/x")
	file := filepath.Join(t.TempDir(), "url")
	require.NoError(t, os.WriteFile(file, []byte("redis://:s3cret%2Fx@"+server.Addr+"\n"), 0o600))
	s := serve(t, []string{"REDIS_URL_FILE=" + file}, "--fresh-start", "--max-concurrency", "8")
	code, _ := s.get("/?shard=0")
	require.Equal(t, 200, code, s.Log())
	assert.NotContains(t, s.Log(), "s3cret")
	for line, env := range map[string]string{
		"status --redis-file " + file:         "",
		"status":                              "REDIS_URL_FILE=" + file,
		"wait --shard 1 --redis-file " + file: "",
		"wait --shard 2":                      "GATEWAYQUEUE_REDIS_FILE=" + file,
		"wait --shard 3 --timeout 20s --redis-file=" + file: "REDIS_URL=redis://127.0.0.1:1",
	} {
		cmd := command(t, strings.Fields(line)...)
		if env != "" {
			cmd.Env = append(cmd.Env, env)
		}
		got := finish(t, cmd, func() {})
		assert.Zero(t, got.code, "%s %s: %s", env, line, got.err)
		assert.NotContains(t, got.out+got.err, "s3cret")
	}
}

func TestSettings_NoPasswordIsShownByAnyCommand(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"proxy --port 0", "serve --port 0", "status", "wait --shard 0 --timeout 1s", "demo"} {
		for _, url := range []string{
			"redis://:Zm9vYmFyc2VjcmV0/YmFy+cXV4@redis:6379", "redis//u:s3cret@redis:6379", "redis://u:s3cret@127.0.0.1:1/db", "redis://b0tuser:s3%cret@h",
			"redis-sentinel://b0tuser:s3cret@127.0.0.1:1/", "redis-cluster://b0tuser:s3cret@127.0.0.1:1/1", "redis://b0tuser:s3cret@127.0.0.1:1?x=s3cret",
			"redis://b0tuser:s3cret#@127.0.0.1:1", "rediss://b0tuser:s3cret@127.0.0.1:notaport",
		} {
			got := run(t, append(strings.Fields(command), "--redis", url)...)
			assert.NotZero(t, got.code, "%s %s", command, url)
			for _, part := range []string{"s3cret", "b0tuser", "Zm9v", "YmFy", "cXV4"} {
				assert.NotContains(t, got.out+got.err, part, "%s %s", command, url)
			}
		}
	}
	for _, line := range []string{
		"wait --shard 0 --timeout 1s --url http://b0tuser:s3cret@127.0.0.1:1", "wait --shard 0 --timeout 1s --legacy --url http://b0tuser:s3cret@127.0.0.1:1",
		"wait --shard 0 --url http://b0tuser:s3/cret@127.0.0.1:1", "wait --shard 0 --url b0tuser:s3cret@127.0.0.1:1", "wait --shard 0 --timeout 1s --url http://b0tuser:s3cret@no-such-host.invalid",
	} {
		got := run(t, strings.Fields(line)...)
		assert.NotZero(t, got.code, line)
		assert.NotContains(t, got.out+got.err, "s3", line)
		assert.NotContains(t, got.out+got.err, "b0tuser", line)
	}
	cmd := command(t, "serve", "--port", "0", "--discord-api", "http://b0tuser:s3cret@127.0.0.1:1")
	cmd.Env = append(cmd.Env, "DISCORD_TOKEN="+botToken)
	stderr, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line := make([]byte, 4096)
	n, _ := stderr.Read(line)
	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	_ = cmd.Wait() // It was killed.
	assert.NotContains(t, string(line[:n]), "s3cret")
	assert.NotContains(t, string(line[:n]), "b0tuser")
	assert.Contains(t, string(line[:n]), "cannot read the limits from Discord")
}

func TestSettings_FormsOfAnAddress(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"127.0.0.1": "127.0.0.1", "localhost": "localhost", "0.0.0.0": "0.0.0.0", "::1": "::1", "[::1]": "::1", "::": "::", "[::]": "::",
		"fe80::1%eth0": "fe80::1%eth0", "[fe80::1%eth0]": "fe80::1%eth0", "::ffff:127.0.0.1": "::ffff:127.0.0.1",
		"queue.example.org": "queue.example.org", "queue.example.org.": "queue.example.org.", "queue_1": "queue_1", "9to5.example": "9to5.example",
	} {
		got, ok := cli.ParseHost(host)
		assert.True(t, ok, host)
		assert.Equal(t, want, got)
	}
	for _, host := range []string{
		"", " ", ":8080", "localhost:8080", "127.0.0.1:8080", "[::1]:8080", "[::1", "::1]", "[127.0.0.1]", "[localhost]", "http://localhost", "a/b", "*", "127.0.0.256",
		"-x", "a b", "u@h", ":::1", "[]", "1.2.3",
	} {
		_, ok := cli.ParseHost(host)
		assert.False(t, ok, "%q", host)
		if host != "" && !strings.HasPrefix(host, "-") && !strings.Contains(host, " ") {
			got := run(t, "serve", "--port", "0", "--host", host)
			assert.Equal(t, result{"", fmt.Sprintf("gatewayqueue serve: --host is %q: want a name or an address, such as localhost, 0.0.0.0 or ::1; the port is --port\n", host), 2}, got)
		}
	}
	for _, host := range []string{"127.0.0.1", "localhost", "::1", "[::1]", "::", "0.0.0.0"} {
		if strings.Contains(host, ":") && !haveIPv6() {
			continue
		}
		s := serve(t, nil, "--fresh-start", "--host", host)
		at := regexp.MustCompile(`\[::\]|0\.0\.0\.0`).ReplaceAllString(s.URL, "localhost")
		resp, err := http.Get(at + "/healthz")
		if assert.NoError(t, err, host) {
			assert.NoError(t, resp.Body.Close())
		}
		got := run(t, "wait", "--quiet", "--shard", "0", "--timeout", "20s", "--url", at)
		assert.Equal(t, result{}, got, host)
	}
	for _, url := range []string{"queue:8080", "127.0.0.1:8080", "[::1]:8080", ":8080", "http://", "ftp://queue", "http://[::1", "http://::1:8080", "redis://queue"} {
		got := run(t, "wait", "--shard", "0", "--timeout", "1s", "--url", url)
		assert.Equal(t, 125, got.code, url)
		assert.Contains(t, got.err, "--url is no address of a server: want one such as http://queue:8080", url)
	}
}

func haveIPv6() bool {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return false
	}
	return l.Close() == nil
}
