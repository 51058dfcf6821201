// What there is to say of one queue among several.

package look

import (
	"fmt"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/cli"
	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/picture"
)

// Oldest is for how long the first in any line has waited; 0 where nobody waits.
func (q Queue) Oldest() time.Duration {
	var longest time.Duration
	for _, b := range q.Buckets {
		if len(b.Line) > 0 {
			longest = max(longest, q.Time.Sub(b.Line[0].Arrival))
		}
	}
	return longest
}

// State is what keeps the queue from granting, in few words; empty where nothing does.
func (q Queue) State() string {
	if q.Err != nil {
		return "cannot be read: " + cli.OneLine(q.Err)
	}
	var words []string
	if q.Storm != nil {
		words = append(words, "storm")
	}
	for _, b := range q.Blocked() {
		switch b.Reason {
		case gatewayqueue.ReasonPaused:
			words = append(words, q.Pause.String())
		case gatewayqueue.ReasonHold:
			words = append(words, "held for "+picture.Seconds(b.Wait))
		case gatewayqueue.ReasonStore:
			words = append(words, "no grants: "+q.Store.Error)
		case gatewayqueue.ReasonBackoff: // of single shards
		default:
			words = append(words, "no grants: "+string(b.Reason))
		}
	}
	if n := len(q.Backoffs); n > 0 {
		words = append(words, fmt.Sprintf("%d backing off", n))
	}
	return strings.Join(words, ", ")
}
