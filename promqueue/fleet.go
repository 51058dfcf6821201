// The metrics of the whole queue, made of a snapshot.

package promqueue

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatewayqueue/gatewayqueue"
)

type fleet struct {
	up, waiting, closed, hold, permits, pods, buckets       *prometheus.Desc
	remaining, limit, unknown, reset, spent, spentByOneMost *prometheus.Desc
	backoffs, paused, refused                               *prometheus.Desc
}

func newFleet(labels prometheus.Labels) fleet {
	desc := func(name, help string, variable ...string) *prometheus.Desc {
		return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, variable, labels)
	}
	return fleet{
		up:             desc("status_up", "Whether a snapshot of the queue could be read at this scrape."),
		waiting:        desc("waiting", "Tickets in the line of a bucket, of all pods.", "bucket"),
		closed:         desc("bucket_closed_seconds", "For how long a bucket stays closed at most; 0 is open.", "bucket"),
		hold:           desc("hold_seconds", "For how long every bucket stays closed after new limits or a loss of state; 0 is not at all."),
		paused:         desc("paused", "Whether an operator has paused the grants."),
		permits:        desc("permits_held", "Buckets whose holder has a permit and has not identified yet."),
		pods:           desc("pods", "Pods that take part: those with waiters or permits."),
		buckets:        desc("max_concurrency", "Buckets, as Discord's max_concurrency says."),
		remaining:      desc("budget_remaining", "Identifies left in this period. Missing while unknown."),
		limit:          desc("budget_limit", "Identifies allowed in a period, as Discord's total says."),
		unknown:        desc("budget_unknown", "Whether it is unknown what is left of the budget; nothing is granted then."),
		reset:          desc("budget_reset_timestamp_seconds", "When the budget is full again, on the queue's clock. Missing while no period has begun."),
		spent:          desc("budget_spent", "Identifies of all shards in this period."),
		spentByOneMost: desc("shard_spent_max", "Identifies in this period of the shard that has spent most: a shard in a crash loop. Missing where more than 1,024 shards have identified and none backs off."),
		refused:        desc("store_refuses", "Whether grants are refused by what Redis holds, or since it takes no writes; Status names the key."),
		backoffs:       desc("shards_in_backoff", "Shards that have identified so often in this period that they are not granted for now."),
	}
}

func (f fleet) describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		f.up, f.waiting, f.closed, f.hold, f.permits, f.pods, f.buckets,
		f.remaining, f.limit, f.unknown, f.reset, f.spent, f.spentByOneMost, f.backoffs, f.paused, f.refused,
	} {
		to <- d
	}
}

func (f fleet) collect(to chan<- prometheus.Metric, s gatewayqueue.Status, err error) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(f.up, yes(err == nil))
	if err != nil {
		return
	}
	permits := 0
	for _, b := range s.Buckets {
		bucket := strconv.Itoa(b.Bucket)
		gauge(f.waiting, float64(b.Waiting), bucket)
		gauge(f.closed, b.Closed.Seconds(), bucket)
		if b.Permit {
			permits++
		}
	}
	pods := 0
	for _, p := range s.Pods {
		if p.Lease.After(s.Time) { // it lives
			pods++
		}
	}
	spent, most := 0, 0
	for _, n := range s.Spent {
		spent += n
		most = max(most, n)
	}
	all := s.SpentBy <= len(s.Spent) // of thousands of shards only those that back off are listed
	gauge(f.hold, s.Hold.Seconds())
	gauge(f.paused, yes(s.Pause != nil))
	gauge(f.permits, float64(permits))
	gauge(f.pods, float64(pods))
	gauge(f.buckets, float64(s.Budget.MaxConcurrency))
	gauge(f.limit, float64(s.Budget.Total))
	gauge(f.unknown, yes(s.Budget.Unknown))
	if !s.Budget.Unknown {
		gauge(f.remaining, float64(s.Budget.Remaining))
	}
	if !s.Budget.Reset.IsZero() {
		gauge(f.reset, float64(s.Budget.Reset.UnixMilli())/1000)
	}
	gauge(f.spent, float64(max(spent, s.SpentAll)))
	if all || most > 0 {
		gauge(f.spentByOneMost, float64(most))
	}
	gauge(f.backoffs, float64(len(s.Backoffs)))
	gauge(f.refused, yes(s.Store.Error != ""))
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
