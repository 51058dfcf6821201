package promqueue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/memqueue"
	"github.com/gatewayqueue/gatewayqueue/promqueue"
)

// looks is a queue that can only be looked at.
type looks struct {
	status gatewayqueue.Status
	err    error
}

func (l looks) Status(context.Context) (gatewayqueue.Status, error) { return l.status, l.err }

// full is a snapshot in which every metric has a value.
func full() gatewayqueue.Status {
	return gatewayqueue.Status{
		Time: time.Unix(1_800_000_000, 0),
		Budget: gatewayqueue.BudgetStatus{
			Total: 1000, Remaining: 985, MaxConcurrency: 2, Reset: time.Unix(1_800_050_000, 0),
		},
		Buckets: []gatewayqueue.BucketStatus{
			{Bucket: 0, Closed: 3105 * time.Millisecond, Holder: "00000@web-1#1", Waiting: 2},
			{Bucket: 1, Closed: 9 * time.Second, Holder: "00003@web-2#1", Permit: true},
		},
		Pods: []gatewayqueue.PodStatus{
			{Pod: "web-1", Lease: time.Unix(1_800_000_003, 0)}, {Pod: "web-2", Lease: time.Unix(1_800_000_003, 0)},
			{Pod: "dead", Lease: time.Unix(1_799_999_999, 0)},
		},
		Spent: map[int]int{0: 1, 3: 14},
		Hold:  time.Second,
	}
}

// every event that a queue can report.
func everyEvent() []gatewayqueue.Event {
	return []gatewayqueue.Event{
		{Kind: gatewayqueue.EventWaiting}, {Kind: gatewayqueue.EventWaiting}, {Kind: gatewayqueue.EventWaiting},
		{Kind: gatewayqueue.EventGranted, Elapsed: 3 * time.Second},
		{Kind: gatewayqueue.EventLeft, Err: context.Canceled},
		{Kind: gatewayqueue.EventIdentified, Elapsed: 150 * time.Millisecond},
		{Kind: gatewayqueue.EventAbandoned, Elapsed: time.Second},
		{Kind: gatewayqueue.EventExpired, Elapsed: 5 * time.Second},
		{Kind: gatewayqueue.EventBudget, Remaining: 1, Total: 2},
		{Kind: gatewayqueue.EventStoreError, Err: errors.New("away")},
		{Kind: gatewayqueue.EventStoreBack, Elapsed: 1500 * time.Millisecond},
		{Kind: gatewayqueue.EventStateLost},
	}
}

func TestNamesAndHelpFollowPrometheussConventions(t *testing.T) {
	c := promqueue.New()
	c.Watch(looks{status: full()})
	problems, err := testutil.CollectAndLint(c)
	require.NoError(t, err)
	assert.Empty(t, problems)
}

func TestARegistryThatChecksEverythingTakesIt(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	for _, app := range []string{"1", "2"} {
		c := promqueue.New(promqueue.WithLabels(prometheus.Labels{"app": app}))
		c.Watch(looks{status: full()})
		require.NoError(t, registry.Register(c))
	}
	_, err := registry.Gather()
	assert.NoError(t, err)
}

func TestEventsAreCounted(t *testing.T) {
	c := promqueue.New()
	for _, e := range everyEvent() {
		c.Observe(e)
	}
	assert.NoError(t, testutil.CollectAndCompare(c, strings.NewReader(`
# HELP gatewayqueue_abandoned_total Permits of this pod that were given back.
# TYPE gatewayqueue_abandoned_total counter
gatewayqueue_abandoned_total 1
# HELP gatewayqueue_expired_total Permits of this pod that ended unreported.
# TYPE gatewayqueue_expired_total counter
gatewayqueue_expired_total 1
# HELP gatewayqueue_grants_total Callers of this pod that were granted.
# TYPE gatewayqueue_grants_total counter
gatewayqueue_grants_total 1
# HELP gatewayqueue_identified_total Permits of this pod that were reported identified.
# TYPE gatewayqueue_identified_total counter
gatewayqueue_identified_total 1
# HELP gatewayqueue_left_total Callers of this pod that left without a grant, by reason.
# TYPE gatewayqueue_left_total counter
gatewayqueue_left_total{reason="cancelled"} 1
gatewayqueue_left_total{reason="closed"} 0
gatewayqueue_left_total{reason="deadline"} 0
gatewayqueue_left_total{reason="error"} 0
gatewayqueue_left_total{reason="exhausted"} 0
# HELP gatewayqueue_pod_waiting Callers of this pod that wait.
# TYPE gatewayqueue_pod_waiting gauge
gatewayqueue_pod_waiting 1
# HELP gatewayqueue_state_losses_total Losses of Redis's state that this pod has seen; each closes every bucket for a permit's lease, 10 s.
# TYPE gatewayqueue_state_losses_total counter
gatewayqueue_state_losses_total 1
# HELP gatewayqueue_store_away_seconds_total How long the store has been away, as this pod saw it; counted when it is back.
# TYPE gatewayqueue_store_away_seconds_total counter
gatewayqueue_store_away_seconds_total 1.5
# HELP gatewayqueue_store_errors_total Calls of this pod to Redis, or to Discord for the limits, that failed.
# TYPE gatewayqueue_store_errors_total counter
gatewayqueue_store_errors_total 1
# HELP gatewayqueue_waits_total Callers of this pod that took a place in a line.
# TYPE gatewayqueue_waits_total counter
gatewayqueue_waits_total 3
`), "gatewayqueue_abandoned_total", "gatewayqueue_expired_total", "gatewayqueue_grants_total", "gatewayqueue_identified_total",
		"gatewayqueue_left_total", "gatewayqueue_pod_waiting", "gatewayqueue_state_losses_total",
		"gatewayqueue_store_away_seconds_total", "gatewayqueue_store_errors_total", "gatewayqueue_waits_total"))
}

func TestSnapshotsAreShown(t *testing.T) {
	c := promqueue.New()
	c.Watch(looks{status: full()})
	for name, want := range map[string]float64{
		"gatewayqueue_status_up": 1, "gatewayqueue_hold_seconds": 1, "gatewayqueue_permits_held": 1,
		"gatewayqueue_pods": 2, "gatewayqueue_max_concurrency": 2, "gatewayqueue_budget_remaining": 985,
		"gatewayqueue_budget_limit": 1000, "gatewayqueue_budget_unknown": 0,
		"gatewayqueue_budget_reset_timestamp_seconds": 1_800_050_000, "gatewayqueue_budget_spent": 15,
		"gatewayqueue_shard_spent_max":     14,
		`gatewayqueue_waiting{bucket="0"}`: 2, `gatewayqueue_waiting{bucket="1"}`: 0,
		`gatewayqueue_bucket_closed_seconds{bucket="0"}`: 3.105,
	} {
		assert.InDelta(t, want, gather(t, c)[name], 1e-9, name)
	}
}

func TestAnUnknownBudgetHasNoFigure(t *testing.T) {
	c := promqueue.New()
	c.Watch(looks{status: gatewayqueue.Status{Budget: gatewayqueue.BudgetStatus{Unknown: true}}})
	got := gather(t, c)
	assert.InDelta(t, 1, got["gatewayqueue_budget_unknown"], 0)
	assert.NotContains(t, got, "gatewayqueue_budget_remaining")
	assert.NotContains(t, got, "gatewayqueue_budget_reset_timestamp_seconds")
}

func TestAStoreThatIsAwayHidesNoCounts(t *testing.T) {
	c := promqueue.New()
	c.Watch(looks{err: errors.New("away")})
	c.Observe(gatewayqueue.Event{Kind: gatewayqueue.EventStoreError})
	got := gather(t, c)
	assert.InDelta(t, 0, got["gatewayqueue_status_up"], 0)
	assert.InDelta(t, 1, got["gatewayqueue_store_errors_total"], 0)
	assert.NotContains(t, got, "gatewayqueue_pods")
}

func TestWhyCallersLeave(t *testing.T) {
	for want, err := range map[string]error{
		"closed":    gatewayqueue.ErrClosed,
		"exhausted": &gatewayqueue.ExhaustedError{},
		"deadline":  errors.Join(context.DeadlineExceeded, errors.New("Redis is away")),
		"cancelled": fmt.Errorf("the shard went: %w", context.Canceled),
		"error":     errors.New("WRONGTYPE"),
	} {
		c := promqueue.New()
		c.Observe(gatewayqueue.Event{Kind: gatewayqueue.EventLeft, Err: err})
		assert.InDelta(t, 1, gather(t, c)[`gatewayqueue_left_total{reason="`+want+`"}`], 0, want)
	}
}

func TestARealQueueIsCountedRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := promqueue.New()
		q, err := memqueue.New(gatewayqueue.DefaultLimit(), memqueue.WithObserver(c.Observe))
		require.NoError(t, err)
		c.Watch(q)
		for shard := range 3 {
			go q.Wait(t.Context(), shard) //nolint:errcheck // It is granted.
			synctest.Wait()
		}
		got := gather(t, c)
		assert.InDelta(t, 2, got[`gatewayqueue_waiting{bucket="0"}`], 0)
		assert.InDelta(t, 2, got["gatewayqueue_pod_waiting"], 0)
		time.Sleep(11 * time.Second)
		got = gather(t, c)
		assert.InDelta(t, 0, got["gatewayqueue_pod_waiting"], 0)
		assert.InDelta(t, 3, got["gatewayqueue_grants_total"], 0)
		assert.InDelta(t, 997, got["gatewayqueue_budget_remaining"], 0)
		assert.InDelta(t, 3, got["gatewayqueue_wait_seconds_count"], 0)
		assert.InDelta(t, 15.75, got["gatewayqueue_wait_seconds_sum"], 0.01)
	})
}

// gather returns the samples as they are written in PromQL.
func gather(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(c))
	families, err := registry.Gather()
	require.NoError(t, err)
	samples := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += fmt.Sprintf("{%s=%q}", l.GetName(), l.GetValue())
			}
			if h := m.GetHistogram(); h != nil {
				samples[name+"_count"], samples[name+"_sum"] = float64(h.GetSampleCount()), h.GetSampleSum()
				continue
			}
			samples[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return samples
}
