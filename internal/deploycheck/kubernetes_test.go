// The manifests, decoded strictly into Kubernetes's own types, and what no type
// can say: that names, labels and ports fit together.

package deploycheck

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// manifests are all objects of the directory, by file.
func manifests(t *testing.T) map[string][]any {
	t.Helper()
	files, err := filepath.Glob("../../deploy/kubernetes/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := make(map[string][]any)
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		all[filepath.Base(file)] = decode(t, file, data)
	}
	return all
}

// decode reads all objects of a file, each into its own type. What a type has not is
// refused.
func decode(t *testing.T, file string, data []byte) (objects []any) {
	t.Helper()
	for _, document := range bytes.Split(data, []byte("\n---\n")) {
		var kind struct{ APIVersion, Kind string }
		require.NoError(t, yaml.Unmarshal(document, &kind), file)
		if kind.Kind == "" {
			continue // comments
		}
		object := map[string]any{
			"apps/v1 Deployment":                      new(apps.Deployment),
			"apps/v1 StatefulSet":                     new(apps.StatefulSet),
			"v1 Service":                              new(core.Service),
			"v1 ServiceAccount":                       new(core.ServiceAccount),
			"v1 ConfigMap":                            new(core.ConfigMap),
			"policy/v1 PodDisruptionBudget":           new(policy.PodDisruptionBudget),
			"networking.k8s.io/v1 NetworkPolicy":      new(networking.NetworkPolicy),
			"cilium.io/v2 CiliumNetworkPolicy":        new(ciliumPolicy),
			"monitoring.coreos.com/v1 ServiceMonitor": new(monitoring.ServiceMonitor),
			"monitoring.coreos.com/v1 PodMonitor":     new(monitoring.PodMonitor),
			"monitoring.coreos.com/v1 PrometheusRule": new(monitoring.PrometheusRule),
		}[kind.APIVersion+" "+kind.Kind]
		require.NotNil(t, object, "%s: no type for %s", file, kind)
		require.NoError(t, yaml.UnmarshalStrict(document, object), "%s: %s", file, kind.Kind)
		objects = append(objects, object)
	}
	return objects
}

// each calls f for every object of a type.
func each[T any](t *testing.T, f func(*T)) {
	t.Helper()
	found := 0
	for _, objects := range manifests(t) {
		for _, object := range objects {
			if typed, ok := object.(*T); ok {
				f(typed)
				found++
			}
		}
	}
	assert.Positive(t, found)
}

// templates are the pods that are made, by the name of who makes them.
func templates(t *testing.T) map[string]core.PodTemplateSpec {
	t.Helper()
	made := make(map[string]core.PodTemplateSpec)
	each(t, func(d *apps.Deployment) {
		assert.Subset(t, d.Spec.Template.Labels, d.Spec.Selector.MatchLabels)
		made[d.Name] = d.Spec.Template
	})
	each(t, func(s *apps.StatefulSet) {
		assert.Subset(t, s.Spec.Template.Labels, s.Spec.Selector.MatchLabels)
		made[s.Name] = s.Spec.Template
	})
	return made
}

// containers are all of a pod, with its sidecars.
func containers(pod core.PodSpec) []core.Container {
	return append(pod.InitContainers, pod.Containers...)
}

func TestSelectorsFindTheirPodsAndPortsExist(t *testing.T) {
	made := templates(t)
	finds := func(name string, labels map[string]string) core.PodSpec {
		require.NotEmpty(t, labels, name)
		pod, found := made[name]
		require.True(t, found, name)
		assert.Subset(t, pod.Labels, labels, name)
		return pod.Spec
	}
	ports := func(pod core.PodSpec) (names []string) {
		for _, c := range containers(pod) {
			for _, p := range c.Ports {
				names = append(names, p.Name)
			}
		}
		return names
	}
	each(t, func(s *core.Service) {
		pod := finds(s.Name, s.Spec.Selector)
		for _, p := range s.Spec.Ports {
			assert.Contains(t, ports(pod), p.TargetPort.StrVal)
		}
	})
	each(t, func(b *policy.PodDisruptionBudget) { finds(b.Name, b.Spec.Selector.MatchLabels) })
	each(t, func(p *networking.NetworkPolicy) {
		if p.Name == guard {
			return // for pods that are not here
		}
		pod := finds(p.Name, p.Spec.PodSelector.MatchLabels)
		for _, in := range p.Spec.Ingress {
			assert.NotEmpty(t, in.From, "from nobody is from everybody")
			for _, port := range in.Ports {
				assert.Contains(t, ports(pod), port.Port.StrVal)
			}
		}
		if from := p.Spec.Ingress[0].From[0]; from.PodSelector != nil {
			assert.Subset(t, made["bot"].Labels, from.PodSelector.MatchLabels, "bots reach the queue")
		}
	})
	each(t, func(s *apps.StatefulSet) { assert.Contains(t, made, s.Spec.ServiceName) })
	server := made["gatewayqueue"].Spec.Containers[0]
	for _, probe := range []*core.Probe{server.LivenessProbe, server.ReadinessProbe} {
		assert.Equal(t, "http", probe.HTTPGet.Port.StrVal)
	}
	assert.Contains(t, server.Args, "--port=8080")
	assert.EqualValues(t, 8080, server.Ports[0].ContainerPort)
}

func TestPodsHaveNoRightsThatTheyDoNotNeed(t *testing.T) {
	for name, pod := range templates(t) {
		hasNoRights(t, name, pod.Spec)
		for _, c := range containers(pod.Spec) {
			for _, e := range c.Env {
				if regexp.MustCompile(`TOKEN|REDIS_URL`).MatchString(e.Name) {
					assert.NotNil(t, e.ValueFrom.SecretKeyRef, "%s of %s is a secret", e.Name, name)
				}
			}
		}
	}
}

func hasNoRights(t *testing.T, name string, pod core.PodSpec) {
	t.Helper()
	assert.False(t, *pod.AutomountServiceAccountToken, name)
	assert.True(t, *pod.SecurityContext.RunAsNonRoot, name)
	assert.Equal(t, core.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type, name)
	for _, c := range containers(pod) {
		assert.False(t, *c.SecurityContext.AllowPrivilegeEscalation, name)
		assert.True(t, *c.SecurityContext.ReadOnlyRootFilesystem, name)
		assert.Equal(t, []core.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop, name)
		assert.Contains(t, c.Resources.Limits, core.ResourceMemory, name)
	}
}

// usage is the program's own list of flags, so that manifests use none that is not.
func TestFlagsInDeployedCommandsExist(t *testing.T) {
	source := func(files ...string) string {
		var all strings.Builder
		for _, file := range files {
			data, err := os.ReadFile(filepath.Join("../../cmd/gatewayqueue", file))
			require.NoError(t, err)
			all.Write(data)
		}
		return all.String()
	}
	flags := source("serve/config.go", "wait/command.go", "pod/pod.go", "proxy/config.go", "server/flags.go", "store/flags.go")
	var used []string
	for _, file := range []string{"kubernetes/server.yaml", "kubernetes/bot.yaml", "kubernetes/proxy.yaml", "kubernetes/proxy-sidecar.yaml", "proxy.yml", "systemd/gatewayqueue.service", "../docker-compose.yml"} {
		data, err := os.ReadFile(filepath.Join("../../deploy", file))
		require.NoError(t, err)
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			for _, f := range regexp.MustCompile(`[ \["]--([a-z][a-z-]+)`).FindAllStringSubmatch(line, -1) {
				used = append(used, f[1])
			}
		}
	}
	require.Greater(t, len(used), 8)
	for _, f := range used {
		assert.True(t, strings.Contains(flags, `"`+f+`"`) || f == "app", "there is no flag --%s", f) //nolint:testifylint // Contains would print the source.
	}
}

func TestPods_TakeNoServiceForASetting(t *testing.T) {
	each(t, func(d *apps.Deployment) {
		require.NotNil(t, d.Spec.Template.Spec.EnableServiceLinks, d.Name)
		assert.False(t, *d.Spec.Template.Spec.EnableServiceLinks, d.Name)
	})
	each(t, func(s *apps.StatefulSet) {
		require.NotNil(t, s.Spec.Template.Spec.EnableServiceLinks, s.Name)
		assert.False(t, *s.Spec.Template.Spec.EnableServiceLinks, s.Name)
	})
}
