// What the proxy counts, and what its queues do, for Prometheus. No metric has a label
// for each shard: there may be thousands.

package proxy

import (
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy"
	"github.com/gatewayqueue/gatewayqueue/promqueue"
)

const (
	namespace = "gatewayqueue"
	subsystem = "proxy"

	// mostApps is how many applications have metrics of their queue. A proxy has one or
	// a few as a rule; those beyond are counted with all others only.
	mostApps = 64
)

// metrics are what is counted as it happens.
type metrics struct {
	held, ready, resumed prometheus.Histogram
	left, reconnects     prometheus.Counter
	closes               *prometheus.CounterVec

	mu     sync.Mutex
	queues map[string]*watched // by application
}

// watched are the queues of one application.
type watched struct {
	*promqueue.Collector
	users int
}

func newMetrics() *metrics {
	m := &metrics{queues: make(map[string]*watched)}
	histogram := func(name, help string, buckets ...float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help, Buckets: buckets})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help})
	}
	// From at once, through windows of 5 s, to a day for the budget's reset.
	m.held = histogram("held_seconds", "How long IDENTIFYs were held until they left.",
		.01, .1, .5, 1, 2.5, 5.5, 11, 22, 45, 90, 180, 360, 720, 1440, 3600, 14400, 86400)
	m.ready = histogram("ready_seconds", "From IDENTIFY to READY.", .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60)
	m.resumed = histogram("resumed_seconds", "From RESUME to RESUMED.", .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60)
	m.left = counter("left_total", "Bots that hung up while their IDENTIFY was held.")
	m.reconnects = counter("reconnects_total", "Connections that Discord wants to be made again (op 7).")
	m.closes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Subsystem: subsystem, Name: "closes_total",
		Help: "Connections that have ended, by the code of the close frame (none where there was none), and by who has ended them.",
	}, []string{"by", "code"})
	return m
}

// observe is for [gatewayproxy.WithObserver].
func (m *metrics) observe(e gatewayproxy.Event) {
	switch e.Kind {
	case gatewayproxy.EventIdentified:
		m.held.Observe(e.Elapsed.Seconds())
	case gatewayproxy.EventReady:
		m.ready.Observe(e.Elapsed.Seconds())
	case gatewayproxy.EventResumed:
		m.resumed.Observe(e.Elapsed.Seconds())
	case gatewayproxy.EventLeft:
		m.left.Inc()
	case gatewayproxy.EventReconnect:
		m.reconnects.Inc()
	case gatewayproxy.EventClosed:
		m.closes.WithLabelValues(string(e.By), codeLabel(e.Code)).Inc()
	default: // the proxy's own counts have it
	}
}

// codeLabel is one of few: a bot may close with any code.
func codeLabel(code int) string {
	switch {
	case code == 0:
		return "none"
	case code >= 1000 && code <= 1015, code >= 4000 && code <= 4014: // RFC 6455's and Discord's
		return strconv.Itoa(code)
	}
	return "other"
}

// queue returns the collector of an application's queues, and what gives it back.
func (m *metrics) queue(app string) (*promqueue.Collector, func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.queues[app]
	if w == nil {
		w = &watched{Collector: promqueue.New(promqueue.WithLabels(prometheus.Labels{"app": app}))}
		if len(m.queues) < mostApps {
			m.queues[app] = w
		}
	}
	w.users++
	return w.Collector, sync.OnceFunc(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if w.users--; w.users == 0 && m.queues[app] == w {
			delete(m.queues, app)
		}
	})
}

func (m *metrics) registry(p *gatewayproxy.Proxy) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(m.held, m.ready, m.resumed, m.left, m.reconnects, m.closes, allQueues{m}, newCounts(p),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

// allQueues collects what the queues say. Bots come and go, so it describes nothing.
type allQueues struct{ m *metrics }

// Describe implements [prometheus.Collector].
func (a allQueues) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (a allQueues) Collect(to chan<- prometheus.Metric) {
	a.m.mu.Lock()
	all := make([]*promqueue.Collector, 0, len(a.m.queues))
	for _, w := range a.m.queues {
		all = append(all, w.Collector)
	}
	a.m.mu.Unlock()
	var done sync.WaitGroup
	for _, c := range all { // each looks at Redis
		done.Go(func() { c.Collect(to) })
	}
	done.Wait()
}
