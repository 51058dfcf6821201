package proxy

import (
	"context"
	"errors"
	"os"
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
)

func TestMetrics_FollowPrometheussConventions(t *testing.T) {
	p, err := gatewayproxy.New(func(context.Context, gatewayproxy.Bot) (gatewayqueue.PermitQueue, error) {
		return nil, errors.New("nobody comes")
	})
	require.NoError(t, err)
	m := newMetrics()
	m.observe(gatewayproxy.Event{Kind: gatewayproxy.EventClosed, By: "bot", Code: 3999})
	_, unwatch := m.queue("1")
	_, second := m.queue("1") // another token of the same application
	problems, err := testutil.GatherAndLint(m.registry(p))
	require.NoError(t, err)
	for _, problem := range problems {
		assert.NotContains(t, problem.Metric, "gatewayqueue", problem.Text) // Go's own have some.
	}
	count := func(name string) int {
		n, err := testutil.GatherAndCount(m.registry(p), name)
		require.NoError(t, err)
		return n
	}
	assert.Equal(t, len(states), count("gatewayqueue_proxy_shards"))
	unwatch()
	unwatch()
	assert.Equal(t, 1, count("gatewayqueue_grants_total"), "one of two is there still")
	second()
	assert.Zero(t, count("gatewayqueue_grants_total"))
}

func TestMetrics_AlertsUseOnlyThoseThatExist(t *testing.T) {
	p, err := gatewayproxy.New(gatewayproxy.One(nil))
	require.NoError(t, err)
	families, err := newMetrics().registry(p).Gather()
	require.NoError(t, err)
	have := make(map[string]bool)
	for _, family := range families {
		have[family.GetName()] = true
	}
	rules, err := os.ReadFile("../../../deploy/prometheus/alerts.yml")
	require.NoError(t, err)
	used := regexp.MustCompile(`gatewayqueue_proxy_\w+`).FindAllString(string(rules), -1)
	require.NotEmpty(t, used)
	for _, name := range used {
		assert.True(t, have[name], "no metric is called %s", name)
	}
}

func TestMetrics_CodesAndApplicationsAreBounded(t *testing.T) {
	m := newMetrics()
	for code := range 70000 {
		m.observe(gatewayproxy.Event{Kind: gatewayproxy.EventClosed, By: "bot", Code: code})
	}
	series := testutil.CollectAndCount(m.closes)
	assert.LessOrEqual(t, series, 40)
	var give []func()
	for app := range 10 * mostApps {
		_, done := m.queue(string(rune('a' + app)))
		give = append(give, done)
	}
	assert.Len(t, m.queues, mostApps)
	for _, done := range give {
		done()
	}
	assert.Empty(t, m.queues)
	require.NoError(t, prometheus.NewRegistry().Register(allQueues{m}))
}
