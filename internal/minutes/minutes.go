// Package minutes adds up the minutes of a queue's history, for those who show a day of
// it.
package minutes

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// By adds minutes, which are in their order, up to spans of a length: each begins at a
// multiple of it since 1970, UTC. A span in which nothing happened is left out; what is
// left of the budget is what was left at a span's end.
func By(minutes []gatewayqueue.Minute, length time.Duration) []gatewayqueue.Minute {
	var spans []gatewayqueue.Minute
	for _, m := range minutes {
		start := time.UnixMilli(m.Start.UnixMilli() / length.Milliseconds() * length.Milliseconds())
		if n := len(spans); n == 0 || !spans[n-1].Start.Equal(start) {
			spans = append(spans, gatewayqueue.Minute{Start: start, Unknown: true, Waits: make(gatewayqueue.Waits)})
		}
		add(&spans[len(spans)-1], m)
	}
	return spans
}

// Sum adds all of them up. Its Start is that of the first.
func Sum(minutes []gatewayqueue.Minute) gatewayqueue.Minute {
	sum := gatewayqueue.Minute{Unknown: true, Waits: make(gatewayqueue.Waits)}
	for i, m := range minutes {
		if i == 0 {
			sum.Start = m.Start
		}
		add(&sum, m)
	}
	return sum
}

func add(sum *gatewayqueue.Minute, m gatewayqueue.Minute) {
	sum.Granted += m.Granted
	sum.Returned += m.Returned
	if !m.Unknown {
		sum.Remaining, sum.Total, sum.Unknown = m.Remaining, m.Total, false
	}
	sum.Waits.Merge(m.Waits)
	sum.P50, sum.P99 = sum.Waits.Quantile(0.5), sum.Waits.Quantile(0.99)
}
