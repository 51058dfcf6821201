// Package promqueue makes metrics for Prometheus of a queue.
//
// A [Collector] has two sources. The events of a queue, heard by
// [Collector.Observe], count what this pod does: sum them over pods. Snapshots,
// read at each scrape from the queue that [Collector.Watch] was given, show the
// whole queue, of all pods: they are the same from every pod, so take the
// maximum. Only buckets are labelled, and only in snapshots: nothing grows with
// the number of shards.
package promqueue

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatewayqueue/gatewayqueue"
)

const namespace = "gatewayqueue"

// DefaultTimeout is how long a scrape waits for a snapshot: less than the 10 s
// after which Prometheus gives a scrape up.
const DefaultTimeout = 3 * time.Second

// Reasons of gatewayqueue_left_total: every one is there from the start, so that
// a rate can be taken of the first.
const (
	leftCancelled = "cancelled" // its context ended
	leftDeadline  = "deadline"  // its deadline passed, or was known to pass first
	leftExhausted = "exhausted" // the budget was, and the queue was told to fail
	leftClosed    = "closed"    // the queue was closed
	leftError     = "error"     // the store refused
)

// Collector is a [prometheus.Collector] of one queue.
type Collector struct {
	timeout time.Duration
	queue   atomic.Pointer[gatewayqueue.StatusReader]

	waits, grants, identified, abandoned, expired, storeErrors, stateLosses prometheus.Counter

	away   prometheus.Counter
	left   *prometheus.CounterVec
	wait   prometheus.Histogram
	held   prometheus.Histogram
	inLine prometheus.Gauge
	events []prometheus.Collector // all of the above
	fleet  fleet
	labels prometheus.Labels
}

var _ prometheus.Collector = (*Collector)(nil)

// Option changes a default of [New].
type Option func(*Collector)

// WithLabels puts labels on every metric, such as the application ID where one
// process serves several bots.
func WithLabels(labels prometheus.Labels) Option {
	return func(c *Collector) { c.labels = labels }
}

// WithTimeout sets how long a scrape waits for a snapshot, [DefaultTimeout] by
// default.
func WithTimeout(d time.Duration) Option {
	return func(c *Collector) { c.timeout = d }
}

// New makes a collector that has heard nothing yet. Its Observe goes into the
// queue's WithObserver, the queue into its Watch.
func New(opts ...Option) *Collector {
	c := &Collector{timeout: DefaultTimeout}
	for _, opt := range opts {
		opt(c)
	}
	c.waits = c.counter("waits_total", "Callers of this pod that took a place in a line.")
	c.grants = c.counter("grants_total", "Callers of this pod that were granted.")
	c.identified = c.counter("identified_total", "Permits of this pod that were reported identified.")
	c.abandoned = c.counter("abandoned_total", "Permits of this pod that were given back.")
	c.expired = c.counter("expired_total", "Permits of this pod that ended unreported.")
	c.storeErrors = c.counter("store_errors_total", "Calls of this pod to Redis, or to Discord for the limits, that failed.")
	c.away = c.counter("store_away_seconds_total", "How long the store has been away, as this pod saw it; counted when it is back.")
	c.stateLosses = c.counter("state_losses_total", "Losses of Redis's state that this pod has seen; each closes every bucket for a permit's lease, 10 s.")
	c.left = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "left_total", ConstLabels: c.labels,
		Help: "Callers of this pod that left without a grant, by reason.",
	}, []string{"reason"})
	for _, reason := range []string{leftCancelled, leftDeadline, leftExhausted, leftClosed, leftError} {
		c.left.WithLabelValues(reason)
	}
	// From at once, through windows of 5.25 s, to a day for the budget's reset.
	c.wait = c.histogram("wait_seconds", "How long granted callers of this pod have waited.",
		.01, .1, .5, 1, 2.5, 5.5, 11, 22, 45, 90, 180, 360, 720, 1440, 3600, 14400, 86400)
	// A dial takes some 150 ms, and a permit is good for at most 2 minutes.
	c.held = c.histogram("permit_held_seconds", "How long permits of this pod were held, until they were reported or ended.",
		.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120)
	c.inLine = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "pod_waiting", ConstLabels: c.labels,
		Help: "Callers of this pod that wait.",
	})
	c.events = []prometheus.Collector{
		c.waits, c.grants, c.left, c.identified, c.abandoned, c.expired, c.storeErrors, c.away, c.stateLosses,
		c.wait, c.held, c.inLine,
	}
	c.fleet = newFleet(c.labels)
	return c
}

func (c *Collector) counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help, ConstLabels: c.labels})
}

func (c *Collector) histogram(name, help string, buckets ...float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, Buckets: buckets, ConstLabels: c.labels,
	})
}

// Watch has each scrape read a snapshot of the queue. Without it there are only
// the counts of this pod.
func (c *Collector) Watch(queue gatewayqueue.StatusReader) { c.queue.Store(&queue) }

// Observe counts an event. It is for the WithObserver of a queue, and may be
// called from any goroutine.
func (c *Collector) Observe(e gatewayqueue.Event) {
	switch e.Kind {
	case gatewayqueue.EventWaiting:
		c.waits.Inc()
		c.inLine.Inc()
	case gatewayqueue.EventGranted:
		c.grants.Inc()
		c.inLine.Dec()
		c.wait.Observe(e.Elapsed.Seconds())
	case gatewayqueue.EventLeft:
		c.left.WithLabelValues(reason(e.Err)).Inc()
		c.inLine.Dec()
	case gatewayqueue.EventIdentified:
		c.identified.Inc()
		c.held.Observe(e.Elapsed.Seconds())
	case gatewayqueue.EventAbandoned:
		c.abandoned.Inc()
		c.held.Observe(e.Elapsed.Seconds())
	case gatewayqueue.EventExpired:
		c.expired.Inc()
		c.held.Observe(e.Elapsed.Seconds())
	case gatewayqueue.EventStoreError:
		c.storeErrors.Inc()
	case gatewayqueue.EventStoreBack:
		c.away.Add(e.Elapsed.Seconds())
	case gatewayqueue.EventStateLost:
		c.stateLosses.Inc()
	case gatewayqueue.EventBudget: // a snapshot has the truth
	}
}

// reason is why a caller left. A deadline also ends a context: it goes first.
func reason(err error) string {
	switch {
	case errors.Is(err, gatewayqueue.ErrClosed):
		return leftClosed
	case errors.Is(err, gatewayqueue.ErrExhausted):
		return leftExhausted
	case errors.Is(err, context.DeadlineExceeded):
		return leftDeadline
	case errors.Is(err, context.Canceled):
		return leftCancelled
	}
	return leftError
}

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for _, e := range c.events {
		e.Describe(to)
	}
	c.fleet.describe(to)
}

// Collect implements [prometheus.Collector]. Where no snapshot can be read, the
// metrics that come from it are missing, but for gatewayqueue_status_up, which
// is 0: a store that is away must not hide what this pod has counted.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	for _, e := range c.events {
		e.Collect(to)
	}
	queue := c.queue.Load()
	if queue == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.timeout)
	defer cancel()
	status, err := (*queue).Status(ctx)
	c.fleet.collect(to, status, err)
}
