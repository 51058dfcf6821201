// The proxy's manifests: that a sidecar is one, that probes hit a port, and that the
// guard leaves its pods no way to Discord's gateway.

package deploycheck

import (
	"os"
	"path"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// guard is the policy of pods that reach nothing but the proxy.
const guard = "gatewayqueue-proxy-guard"

func TestTheProxyIsASidecarThatRunsBeforeTheBot(t *testing.T) {
	sidecars := 0
	each(t, func(s *apps.StatefulSet) {
		for _, c := range s.Spec.Template.Spec.InitContainers {
			sidecars++
			require.NotNil(t, c.RestartPolicy, "without it the bot waits for the proxy to end")
			assert.Equal(t, core.ContainerRestartPolicyAlways, *c.RestartPolicy)
			assert.NotNil(t, c.StartupProbe, "the bot is started once the proxy listens")
		}
	})
	assert.Equal(t, 1, sidecars)
}

// A proxy without Redis still passes RESUMEs: no probe may take it away for that.
func TestTheProxysProbesDoNotAskRedis(t *testing.T) {
	found := 0
	for name, pod := range templates(t) {
		for _, c := range containers(pod.Spec) {
			if c.Name != "proxy" {
				continue
			}
			found++
			assert.Contains(t, c.Args, "--port=7777", name)
			assert.EqualValues(t, 7777, c.Ports[0].ContainerPort, name)
			for _, probe := range []*core.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
				if probe != nil {
					assert.Equal(t, "/healthz", probe.HTTPGet.Path, name)
					assert.Equal(t, c.Ports[0].Name, probe.HTTPGet.Port.StrVal, name)
				}
			}
		}
	}
	assert.Equal(t, 2, found)
}

func TestGuard_ReachesTheProxyAndDNSOnly(t *testing.T) {
	proxy := templates(t)["gatewayqueue-proxy"]
	found := false
	each(t, func(p *networking.NetworkPolicy) {
		if p.Name != guard {
			return
		}
		found = true
		assert.Equal(t, []networking.PolicyType{networking.PolicyTypeEgress}, p.Spec.PolicyTypes)
		require.Len(t, p.Spec.Egress, 2)
		for _, rule := range p.Spec.Egress {
			require.Len(t, rule.To, 1, "to nobody is to everybody")
			assert.Nil(t, rule.To[0].IPBlock)
			for _, port := range rule.Ports {
				if rule.To[0].PodSelector != nil {
					assert.Subset(t, proxy.Labels, rule.To[0].PodSelector.MatchLabels)
					assert.EqualValues(t, 7777, port.Port.IntVal)
				} else {
					assert.EqualValues(t, 53, port.Port.IntVal)
				}
			}
		}
	})
	assert.True(t, found)
}

// ciliumPolicy is a CiliumNetworkPolicy. Its own types are a large module: what matters
// of them is read here.
type ciliumPolicy struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Metadata   map[string]any `json:"metadata"`
	Spec       struct {
		EndpointSelector ciliumLabels `json:"endpointSelector"`
		Egress           []struct {
			ToEndpoints []ciliumLabels `json:"toEndpoints"`
			ToEntities  []string       `json:"toEntities"`
			ToFQDNs     []ciliumName   `json:"toFQDNs"`
			ToPorts     []struct {
				Ports       []ciliumPort            `json:"ports"`
				ServerNames []string                `json:"serverNames"`
				Rules       map[string][]ciliumName `json:"rules"`
			} `json:"toPorts"`
		} `json:"egress"`
	} `json:"spec"`
}

type ciliumLabels struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

type ciliumPort struct {
	Port     string `json:"port"`
	EndPort  int    `json:"endPort"`
	Protocol string `json:"protocol"`
}

type ciliumName struct {
	MatchName    string `json:"matchName"`
	MatchPattern string `json:"matchPattern"`
}

func TestCiliumsGuard_NamesNoGateway(t *testing.T) {
	data, err := os.ReadFile("../../deploy/kubernetes/cilium/proxy-guard.yaml")
	require.NoError(t, err)
	var policy ciliumPolicy
	require.NoError(t, yaml.UnmarshalStrict(data, &policy))
	assert.Equal(t, "cilium.io/v2 CiliumNetworkPolicy", policy.APIVersion+" "+policy.Kind)
	each(t, func(p *networking.NetworkPolicy) {
		if p.Name == guard {
			assert.Equal(t, p.Spec.PodSelector.MatchLabels, policy.Spec.EndpointSelector.MatchLabels)
		}
	})
	proxy := templates(t)["gatewayqueue-proxy"]
	require.Len(t, policy.Spec.Egress[0].ToEndpoints, 1)
	assert.Subset(t, proxy.Labels, policy.Spec.Egress[0].ToEndpoints[0].MatchLabels)
	for _, rule := range policy.Spec.Egress {
		require.NotEmpty(t, rule.ToPorts)
		for _, to := range rule.ToPorts {
			for _, host := range []string{"gateway.discord.gg", "gateway-us-east1-b.discord.gg"} {
				assert.NotContains(t, to.ServerNames, host)
				for _, n := range rule.ToFQDNs {
					assert.NotEqual(t, host, n.MatchName)
					matches, err := path.Match(n.MatchPattern, host)
					require.NoError(t, err)
					assert.False(t, matches, "%s is %s", n.MatchPattern, host)
				}
			}
			for _, p := range to.Ports {
				if len(rule.ToEntities) > 0 {
					assert.Equal(t, "UDP", p.Protocol, "the gateway takes no UDP")
				}
			}
		}
	}
}
