package gatewayqueue

import "time"

// EventKind says what an [Event] reports.
type EventKind int

// The events of a queue. Each waiter has one EventWaiting, then one
// EventGranted or EventLeft; one that is refused at once has none. Each permit
// then has one EventIdentified, EventAbandoned or EventExpired. An idle queue
// in memory notices an expired permit late, or never; a permit that is reported
// after it has expired has no second event. The last EventBudget is what is left.
const (
	EventWaiting    EventKind = iota + 1 // a caller took its place in a line
	EventGranted                         // it got the slot; Elapsed is how long it waited
	EventLeft                            // it left without a grant; Err says why
	EventIdentified                      // its permit was reported identified; Elapsed is how long it was held
	EventAbandoned                       // its permit was given back; Elapsed is how long it was held
	EventExpired                         // its permit's lease ended unreported
	EventBudget                          // Remaining and Total changed
	EventStoreError                      // a call to the shared store failed; Err says how
	EventStoreBack                       // the store answers again; Elapsed is how long it was away
	EventBackoff                         // its shard identifies too often: it waits Elapsed before it takes a place
	EventStateLost                       // the store lost state; every bucket is closed for a permit's lease
	EventBlocked                         // nothing is granted for now: Err is a [BlockedError]; at most once a minute for each of its reasons
	EventPaused                          // an operator has paused the grants, and this pod has heard of it: Err is a [BlockedError]
	EventResumed                         // they are resumed, or the pause has come to its end
)

var eventNames = [...]string{
	EventWaiting: "waiting", EventGranted: "granted", EventLeft: "left", EventIdentified: "identified",
	EventAbandoned: "abandoned", EventExpired: "expired", EventBudget: "budget",
	EventStoreError: "store error", EventStoreBack: "store back", EventBackoff: "backoff", EventStateLost: "state lost", EventBlocked: "blocked",
	EventPaused: "paused", EventResumed: "resumed",
}

func (k EventKind) String() string {
	if k > 0 && int(k) < len(eventNames) {
		return eventNames[k]
	}
	return "unknown"
}

// Event is one thing that happened in a queue, for metrics and tests. An
// observer is called from the goroutine that did it, never under a lock; it
// must be safe for concurrent use and return quickly.
type Event struct {
	Kind    EventKind
	ShardID int // for events of a waiter or permit
	Bucket  int
	Elapsed time.Duration
	Err     error

	Remaining, Total int // for EventBudget
}
