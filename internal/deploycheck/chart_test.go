// The chart with values as people give them: each mode, everything on and off, and
// what is refused.

package deploycheck

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// least is what every release has to say.
const least = "redis: {existingSecret: s}\ntokens: {existingSecret: s}\n"

// everything is each part switched on, in any mode.
const everything = `
replicas: 3
image: {repository: registry.example.org/gatewayqueue, digest: "sha256:0123456789012345678901234567890123456789012345678901234567890123", pullPolicy: Always}
imagePullSecrets: [{name: registry}]
serviceAccount: {create: true, annotations: {a: b}}
extraArgs: [--log-level=debug]
extraEnv: [{name: A, value: b}]
extraEnvFrom: [{configMapRef: {name: c}}]
extraVolumes: [{name: v, emptyDir: {}}]
extraVolumeMounts: [{name: v, mountPath: /v}]
podAnnotations: {a: b}
podLabels: {c: d}
resources: {limits: {memory: 1Gi}}
nodeSelector: {disk: ssd}
tolerations: [{key: bots, operator: Exists}]
topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {c: d}}}]
affinity: {podAntiAffinity: {}}
priorityClassName: high
service: {type: LoadBalancer, port: 8443, annotations: {a: b}}
podDisruptionBudget: {maxUnavailable: 50%}
networkPolicy: {enabled: true, redis: {to: [], ports: [26379, 6379]}, extraEgress: [{ports: [{port: 9}]}]}
serviceMonitor: {enabled: true, labels: {release: prometheus}, interval: 15s, scrapeTimeout: 5s}
prometheusRule: {enabled: true, labels: {release: prometheus}}
dashboard: {enabled: true, annotations: {folder: bots}}
`

const nothing = `
config: {log: null, drain: null}
redis: {url: "redis://redis:6379"}
tokens: {authKey: "", discordKey: ""}
podDisruptionBudget: {enabled: false}
`

// kinds counts them.
func kinds(t *testing.T, rendered string) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for _, o := range decode(t, "the chart", []byte(rendered)) {
		data, err := json.Marshal(o)
		require.NoError(t, err)
		var object struct{ Kind string }
		require.NoError(t, json.Unmarshal(data, &object))
		counts[object.Kind]++
	}
	return counts
}

func first[T any](t *testing.T, rendered string) *T {
	t.Helper()
	for _, o := range decode(t, "the chart", []byte(rendered)) {
		if typed, ok := o.(*T); ok {
			return typed
		}
	}
	require.FailNow(t, "no document of that kind")
	return nil
}

// with writes values to a file, for --values.
func with(t *testing.T, values string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml") // a comma in it would make two files of it
	require.NoError(t, os.WriteFile(file, []byte(values), 0o600))
	return file
}

func TestChart_RendersWhatIsSwitchedOn(t *testing.T) {
	chart, _ := pack(t)
	tls := "tls: {existingSecret: cert}\n"
	for _, c := range []struct {
		name, values string
		want         map[string]int
	}{
		{"serve", least, map[string]int{"Deployment": 1, "Service": 1, "PodDisruptionBudget": 1}},
		{"proxy", least + "mode: proxy\n", map[string]int{"Deployment": 1, "Service": 1, "PodDisruptionBudget": 1}},
		{"sidecar", least + "mode: sidecar\n", map[string]int{}},
		{"serve with nothing", nothing, map[string]int{"Deployment": 1, "Service": 1}},
		{"proxy with nothing", nothing + "mode: proxy\n", map[string]int{"Deployment": 1, "Service": 1}},
		{"serve with everything", least + everything, map[string]int{
			"Deployment": 1, "Service": 1, "ServiceAccount": 1, "PodDisruptionBudget": 1, "NetworkPolicy": 1, "ServiceMonitor": 1, "PrometheusRule": 1, "ConfigMap": 1,
		}},
		{"proxy with everything", least + everything + tls + "mode: proxy\nconfig: {api: true}\nguard: {enabled: true}\n", map[string]int{
			"Deployment": 1, "Service": 1, "ServiceAccount": 1, "PodDisruptionBudget": 1, "NetworkPolicy": 2, "ServiceMonitor": 1, "PrometheusRule": 1, "ConfigMap": 1,
		}},
		{"proxy with guard of Cilium", least + "mode: proxy\nguard: {enabled: true, flavor: cilium}\n", map[string]int{
			"Deployment": 1, "Service": 1, "PodDisruptionBudget": 1, "CiliumNetworkPolicy": 1,
		}},
		{"sidecar with everything", least + everything + tls + "mode: sidecar\n", map[string]int{"NetworkPolicy": 1, "PodMonitor": 1, "PrometheusRule": 1, "ConfigMap": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			values := with(t, c.values)
			rendered := render(t, "gatewayqueue", chart, "--values", values)
			assert.Equal(t, c.want, kinds(t, rendered))
			out, trouble, err := helm(t, "lint", "--strict", kubeVersion, chart, "--values", values)
			assert.NoError(t, err, out+trouble)
			if c.want["Deployment"] == 0 {
				return
			}
			d := first[apps.Deployment](t, rendered)
			hasNoRights(t, c.name, d.Spec.Template.Spec)
			assert.Subset(t, d.Spec.Template.Labels, d.Spec.Selector.MatchLabels)
			assert.Subset(t, d.Spec.Template.Labels, first[core.Service](t, rendered).Spec.Selector)
		})
	}
}

func TestChart_IsRefusedWithBadValues(t *testing.T) {
	chart, _ := pack(t)
	for _, c := range []struct {
		values string
		want   []string // the field, the value, what is wanted
	}{
		{least + "mode: servr\n", []string{"'/mode'", "'servr'", "serve|proxy|sidecar"}},
		{least + "replicas: 0\n", []string{"'/replicas'", "got 0, want 1"}},
		{least + "replicas: two\n", []string{"'/replicas'", "got string, want integer"}},
		{least + "replicsa: 2\n", []string{"'replicsa' not allowed"}},
		{least + "config: {max-waiters: 2000000}\n", []string{"'/config/max-waiters'", "maximum: got 2"}},
		{least + "config: {margin: 1}\n", []string{"'/config/margin'", "got number, want string"}},
		{least + "config: {margin: 1 s}\n", []string{"'/config/margin'", "'1 s'"}},
		{least + "config: {margin: 2m}\n", []string{"config.margin", `"2m"`, "from 50ms to 1m"}},
		{least + "config: {margin: 1500us}\n", []string{"config.margin", `"1500us"`, "from 50ms to 1m"}},
		{least + "config: {refresh: 23h61m}\n", []string{"config.refresh", `"23h61m"`, "from 1s to 24h"}},
		{least + "mode: proxy\nconfig: {margin: 1h}\n", []string{"config.margin", `"1h"`, "from 50ms to 1m"}},
		{least + "config: {drain: 20s, grace: 11s}\n", []string{"terminationGracePeriodSeconds is 30", "config.drain (20s)", "config.grace (11s)"}},
		{least + "config: {app: 1234567890}\n", []string{"'/config/app'", "got number, want string"}},
		{least + "config: {log: xml}\n", []string{"'/config/log'", "'xml'", "text|json"}},
		{least + "config: {api: true}\n", []string{"config.api (true)", `mode "serve"`, "a flag of gatewayqueue proxy. Leave it out"}},
		{least + "mode: proxy\nconfig: {max-waiters: 1}\n", []string{"config.max-waiters (1)", `mode "proxy"`, "a flag of gatewayqueue serve. Leave it out"}},
		{least + "mode: proxy\nconfig: {app: \"1234567890\"}\n", []string{"config.app (1234567890)", `mode "proxy"`, "by the bot's own token"}},
		{least + "mode: sidecar\nconfig: {app: \"1234567890\"}\n", []string{"config.app (1234567890)", `mode "sidecar"`, "by the bot's own token"}},
		{least + "config: {margni: 1s}\n", []string{"config.margni (1s)", "gatewayqueue serve: want one of allow-host, app,", ", margin,"}},
		{least + "mode: proxy\nconfig: {margni: 1s}\n", []string{"config.margni (1s)", "gatewayqueue proxy: want one of api, backoff,", ", margin,"}},
		{least + "service: {port: 70000}\n", []string{"'/service/port'", "got 70,000, want 65,535"}},
		{least + "podDisruptionBudget: {maxUnavailable: 0}\n", []string{"'/podDisruptionBudget/maxUnavailable'", "got 0, want 1"}},
		{least + "mode: proxy\nguard: {enabled: true, flavor: calico}\n", []string{"'/guard/flavor'", "'calico'", "kubernetes|cilium"}},
		{"tokens: {existingSecret: s}\n", []string{"redis.existingSecret", "kubectl create secret"}},
		{"tokens: {existingSecret: s}\nredis: {url: \"http://redis\"}\n", []string{"'/redis/url'", "'http://redis'", "rediss"}},
		{"tokens: {existingSecret: s}\nredis: {url: \"redis://:password@redis\"}\n", []string{"redis.url holds", "redis.existingSecret"}},
		{least + "redis: {existingSecret: s, url: \"redis://redis\"}\n", []string{"redis"}},
		{"redis: {existingSecret: s}\n", []string{"tokens.existingSecret", `"auth-token"`, `"discord-token"`}},
		{"redis: {existingSecret: s}\nmode: proxy\n", []string{"tokens.existingSecret", `"auth-token"`}},
		{least + "config: {total: 5}\n", []string{"config.total (5)", "tokens.discordKey"}},
		{least + "tls: {existingSecret: cert}\n", []string{"tls.existingSecret", `"cert"`, `"proxy"`}},
		{least + "guard: {enabled: true}\n", []string{"guard.enabled", `"serve"`, `"proxy"`}},
		{least + "mode: proxy\nguard: {enabled: true}\n", []string{"guard.enabled", "config.api: true"}},
	} {
		t.Run(strings.ReplaceAll(strings.TrimSpace(strings.TrimPrefix(c.values, least)), ",", ""), func(t *testing.T) {
			_, trouble, err := helm(t, "template", "gatewayqueue", chart, kubeVersion, "--values", with(t, c.values))
			require.Error(t, err)
			for _, want := range c.want {
				assert.Contains(t, trouble, want)
			}
			assert.NotContains(t, trouble, "password@")
		})
	}
}

// A flag that the chart gives the program itself is not for config, and the message says which value it has.
func TestChart_NamesTheValueOfItsOwnFlags(t *testing.T) {
	chart, _ := pack(t)
	for _, flag := range theirOwn {
		if flag == "help" {
			continue
		}
		for _, mode := range []string{"serve", "proxy"} {
			_, trouble, err := helm(t, "template", "gatewayqueue", chart, kubeVersion, "--values", with(t, least+"mode: "+mode+"\nconfig: {"+flag+": secret-value}\n"))
			require.Error(t, err)
			assert.Regexp(t, `config\.`+flag+` is not for config: .* Want \w`, trouble)
			assert.NotContains(t, trouble, "secret-value")
		}
	}
}

func TestChart_IsOfOneVersion(t *testing.T) {
	var chart struct{ Version, AppVersion string }
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "deploy/helm/gatewayqueue/Chart.yaml")), &chart))
	assert.Regexp(t, `^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`, chart.Version, "without a v")
	assert.Equal(t, chart.Version, chart.AppVersion, "the image's tag is the release")
}

func TestChartsFiles_AreThoseOfDeploy(t *testing.T) {
	same(t, chartDir+"/files/alerts.yml", read(t, "deploy/prometheus/alerts.yml"))
	same(t, chartDir+"/files/dashboard.json", read(t, "deploy/grafana/dashboard.json"))
}

// People take one folder out of a repository: no part of it may lie outside.
func TestChart_IsWholeInItsFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gatewayqueue")
	require.NoError(t, os.CopyFS(dir, os.DirFS(chartDir)))
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		assert.False(t, err == nil && entry.Type()&os.ModeSymlink != 0, "%s is a link", path)
		return err
	}))
	chart, _ := pack(t)
	for _, mode := range []string{"serve", "proxy", "sidecar"} {
		values := with(t, least+everything+"mode: "+mode+"\n")
		assert.True(t, render(t, "gatewayqueue", chart, "--values", values) == render(t, "gatewayqueue", dir, "--values", values), mode) //nolint:testifylint // Equal would print both
	}
}

func TestChart_HasTheAlertsAndTheDashboardOfDeploy(t *testing.T) {
	chart, _ := pack(t)
	rendered := render(t, "gatewayqueue", chart, "--values", with(t, least+everything))
	var alerts monitoring.PrometheusRuleSpec
	require.NoError(t, yaml.UnmarshalStrict([]byte(read(t, "deploy/prometheus/alerts.yml")), &alerts))
	assert.Equal(t, alerts, first[monitoring.PrometheusRule](t, rendered).Spec)
	have := strings.TrimSpace(first[core.ConfigMap](t, rendered).Data["gatewayqueue.json"]) // Helm 3 cuts off the last line's end
	assert.True(t, have == strings.TrimSpace(read(t, "deploy/grafana/dashboard.json")))     //nolint:testifylint // Equal would print both
}

func TestChart_SidecarIsASidecarOfAnotherChart(t *testing.T) {
	_, bot := pack(t)
	rendered := render(t, "mine", bot, "--values", with(t, `
gatewayqueue:
  tls: {existingSecret: cert}
  networkPolicy: {enabled: true}
  serviceMonitor: {enabled: true}
  extraVolumes: [{name: v, emptyDir: {}}]
  extraVolumeMounts: [{name: v, mountPath: /v}]
`))
	pod := first[apps.StatefulSet](t, rendered).Spec.Template
	sidecar := pod.Spec.InitContainers[0]
	assert.Equal(t, core.ContainerRestartPolicyAlways, *sidecar.RestartPolicy)
	assert.True(t, *sidecar.SecurityContext.RunAsNonRoot, "whatever the pod says")
	assert.Equal(t, core.URISchemeHTTPS, sidecar.StartupProbe.HTTPGet.Scheme)
	assert.Contains(t, sidecar.Args, "--tls-cert=/tls/tls.crt")
	require.Len(t, pod.Spec.Volumes, 2)
	assert.Equal(t, pod.Spec.Volumes[0].Name, sidecar.VolumeMounts[0].Name)
	assert.Subset(t, pod.Labels, first[networking.NetworkPolicy](t, rendered).Spec.PodSelector.MatchLabels)
	monitor := first[monitoring.PodMonitor](t, rendered).Spec
	assert.Subset(t, pod.Labels, monitor.Selector.MatchLabels)
	assert.Equal(t, sidecar.Ports[0].Name, *monitor.PodMetricsEndpoints[0].Port)
}
