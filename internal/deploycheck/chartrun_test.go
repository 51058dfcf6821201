// The rendered containers as the program itself takes them: its arguments, variables,
// ports, and the paths of probes and metrics.

package deploycheck

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
)

const authToken = "0123456789abcdef01234567"

// redis starts a server on a socket, and returns its URL.
func redis(t *testing.T) string {
	t.Helper()
	server := os.Getenv("GATEWAYQUEUE_REDIS_SERVER")
	if server == "" {
		var err error
		if server, err = exec.LookPath("redis-server"); err != nil {
			t.Skip("no Redis server: scripts/redis install")
		}
	}
	dir := subdir(t, "redis")
	socket := filepath.Join(dir, "s")
	run(t, exec.Command(server, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", dir)) //nolint:noctx // run ends it
	require.Eventually(t, func() bool { _, err := os.Stat(socket); return err == nil }, time.Minute, 10*time.Millisecond)
	return "unix://" + socket
}

// run starts a command, and ends it with the test.
func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// start runs the program as the container has it, but on loopback and a free port, and
// returns its address.
func start(t *testing.T, c core.Container, redisURL string) string {
	t.Helper()
	var args []string
	for _, arg := range c.Args {
		arg = strings.Replace(arg, "--host=0.0.0.0", "--host=127.0.0.1", 1)
		args = append(args, regexp.MustCompile(`^--port=\d+$`).ReplaceAllString(arg, "--port=0"))
	}
	cmd := exec.Command(program(t), args...) //nolint:noctx // run ends it
	for _, e := range c.Env {
		value := map[string]string{"POD_NAME": "gatewayqueue-0", "GATEWAYQUEUE_POD": "gatewayqueue-0", "REDIS_URL": redisURL, "GATEWAYQUEUE_AUTH_TOKEN": authToken}[e.Name]
		require.NotEmpty(t, value, e.Name)
		cmd.Env = append(cmd.Env, e.Name+"="+value)
	}
	out, err := cmd.StderrPipe()
	require.NoError(t, err)
	run(t, cmd)
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if found := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(lines.Text()); found != "" {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return "http://" + found
		}
	}
	require.FailNow(t, "it does not listen", said.String())
	return ""
}

func status(t *testing.T, url, token string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

func TestChartsContainers_RunAndAnswerTheirProbes(t *testing.T) {
	chart, bot := pack(t)
	url := redis(t)
	const limits = "tokens: {existingSecret: s, discordKey: \"\"}\nredis: {existingSecret: s}\nserviceMonitor: {enabled: true}\n"
	rendered := map[string]string{
		"serve": render(t, "gatewayqueue", chart, "--values", with(t, limits+
			"config: {app: \"1\", max-concurrency: 16, total: 1000000, margin: 1s, max-waiters: 1000000, no-legacy: true, allow-host: queue.example.org}\n")),
		"proxy": render(t, "gatewayqueue", chart, "--values", with(t, limits+
			"mode: proxy\nconfig: {api: true, dial: late, linger: 2m, max-connections: 100}\n")),
		"sidecar": render(t, "bot", bot, "--values", with(t, "gatewayqueue: {serviceMonitor: {enabled: true}}\n")),
	}
	for name, text := range rendered {
		t.Run(name, func(t *testing.T) {
			var c core.Container
			var metrics string
			if name == "sidecar" {
				c = first[apps.StatefulSet](t, text).Spec.Template.Spec.InitContainers[0]
				metrics = first[monitoring.PodMonitor](t, text).Spec.PodMetricsEndpoints[0].Path
			} else {
				c = first[apps.Deployment](t, text).Spec.Template.Spec.Containers[0]
				metrics = first[monitoring.ServiceMonitor](t, text).Spec.Endpoints[0].Path
			}
			base := start(t, c, url)
			for _, probe := range []*core.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
				if probe != nil {
					assert.Eventually(t, func() bool { return status(t, base+probe.HTTPGet.Path, "") == http.StatusOK }, time.Minute, 50*time.Millisecond, probe.HTTPGet.Path)
				}
			}
			assert.Equal(t, http.StatusOK, status(t, base+metrics, authToken))
			assert.Equal(t, http.StatusUnauthorized, status(t, base+metrics, ""))
		})
	}
}
