// The metrics that are made of what the proxy has counted, at each scrape.

package proxy

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
)

// counts collects a proxy's [gatewayproxy.Stats], and how its shards are.
type counts struct {
	proxy   *gatewayproxy.Proxy
	figures []figure
	shards  *prometheus.Desc
	beat    *prometheus.Desc
	storm   *prometheus.Desc
	recent  *prometheus.Desc
}

// figure is one of the counts.
type figure struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	of     func(gatewayproxy.Stats) int64
	labels []string
}

var states = []gatewayproxy.State{
	gatewayproxy.StateHeld, gatewayproxy.StateIdentifying, gatewayproxy.StateResuming, gatewayproxy.StateReady, gatewayproxy.StateRefused, gatewayproxy.StateGone,
}

func newCounts(p *gatewayproxy.Proxy) *counts {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, subsystem, name), help, labels, nil)
	}
	c := &counts{
		proxy:  p,
		shards: desc("shards", "Shards that have come through this proxy, by what they are at.", "state"),
		beat:   desc("heartbeat_seconds_max", "The longest that Discord took to answer the last heartbeat of a shard that is ready. Missing where none is known."),
		storm:  desc("storm", "Whether Discord refuses sessions in numbers, across the fleet."),
		recent: desc("refused_last_minute", "Sessions of the fleet that Discord has refused in the last minute."),
	}
	gauge := func(name, help string, of func(gatewayproxy.Stats) int64) {
		c.figures = append(c.figures, figure{desc: desc(name, help), kind: prometheus.GaugeValue, of: of})
	}
	counter := func(name, help string, of func(gatewayproxy.Stats) int64) {
		c.figures = append(c.figures, figure{desc: desc(name, help), kind: prometheus.CounterValue, of: of})
	}
	gauge("connections", "Bots' connections that are open.", func(s gatewayproxy.Stats) int64 { return int64(s.Connections) })
	gauge("held", "IDENTIFYs that are held.", func(s gatewayproxy.Stats) int64 { return int64(s.Held) })
	counter("accepted_total", "Connections of bots that were opened.", func(s gatewayproxy.Stats) int64 { return int64(s.Accepted) })
	counter("refused_total", "Requests for one that were refused, by the proxy or by Discord.", func(s gatewayproxy.Stats) int64 { return int64(s.Refused) })
	counter("identifies_total", "IDENTIFYs that have left.", func(s gatewayproxy.Stats) int64 { return int64(s.Identifies) })
	counter("readies_total", "READYs that have come.", func(s gatewayproxy.Stats) int64 { return int64(s.Readies) })
	counter("unrewritten_total", "READYs whose session resumes past the proxy, because they could not be changed.", func(s gatewayproxy.Stats) int64 { return int64(s.Unrewritten) })
	counter("resumes_total", "RESUMEs that have passed.", func(s gatewayproxy.Stats) int64 { return int64(s.Resumes) })
	counter("redials_total", "Connections to Discord that were replaced behind a bot's back.", func(s gatewayproxy.Stats) int64 { return int64(s.Redials) })
	counter("failed_dials_total", "Dials of Discord's gateway that have failed.", func(s gatewayproxy.Stats) int64 { return int64(s.FailedDials) })
	byLabel := func(name, help, label string, of map[string]func(gatewayproxy.Stats) int64) {
		d := desc(name, help, label)
		for value, f := range of {
			c.figures = append(c.figures, figure{d, prometheus.CounterValue, f, []string{value}})
		}
	}
	byLabel("invalid_sessions_total", "Sessions that Discord has called invalid (op 9): after RESUME, or else.", "after", map[string]func(gatewayproxy.Stats) int64{
		"resume": func(s gatewayproxy.Stats) int64 { return int64(s.RefusedResumes) },
		"else":   func(s gatewayproxy.Stats) int64 { return int64(s.Invalid) },
	})
	byLabel("bytes_total", "Bytes that have passed.", "to", map[string]func(gatewayproxy.Stats) int64{
		"bots":    func(s gatewayproxy.Stats) int64 { return s.BytesToBots },
		"discord": func(s gatewayproxy.Stats) int64 { return s.BytesToDiscord },
	})
	return c
}

// Describe implements [prometheus.Collector].
func (c *counts) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.shards, c.beat, c.storm, c.recent} {
		to <- d
	}
	for _, f := range c.figures {
		to <- f.desc
	}
}

// Collect implements [prometheus.Collector].
func (c *counts) Collect(to chan<- prometheus.Metric) {
	stats := c.proxy.Stats()
	for _, f := range c.figures {
		to <- prometheus.MustNewConstMetric(f.desc, f.kind, float64(f.of(stats)), f.labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	at, slowest := make(map[gatewayproxy.State]int), 0.0
	for _, shard := range c.proxy.Shards("") {
		at[shard.State]++
		if shard.State == gatewayproxy.StateReady {
			slowest = max(slowest, shard.Heartbeat)
		}
	}
	for _, state := range states {
		gauge(c.shards, float64(at[state]), string(state))
	}
	if slowest > 0 {
		gauge(c.beat, slowest)
	}
	storm := c.proxy.Storm("")
	is := 0.0
	if !storm.Since.IsZero() {
		is = 1
	}
	gauge(c.storm, is)
	gauge(c.recent, float64(storm.Refused))
}
