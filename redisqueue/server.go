package redisqueue

// What the scripts say of the server that ran them, and of the options that pods
// must agree on.

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// identity is a word of lua/lib/server.lua, and where scripts are not told who
// the server is, why. A server that may have lost grants was said to be so by
// the call that has closed every bucket, so once in a whole fleet.
type identity string

// cut takes the word and its reason apart.
func (id identity) cut() (word, why string) {
	word, why, _ = strings.Cut(string(id), " ")
	return word, why
}

// acquaintance is what this pod has said of the server and of other pods, so that
// it says each thing once.
type acquaintance struct {
	blind  atomic.Bool
	mini   atomic.Bool                         // it is miniredis
	probed atomic.Bool                         // whether its TTLs run down
	still  atomic.Bool                         // they do not
	alone  atomic.Pointer[unacknowledgedError] // of the last grant, if it did not count
	window atomic.Int64                        // in force, as last heard; and so are the next two
	hold   atomic.Int64
	copies atomic.Int64 // how many replicas must acknowledge a grant

	longest atomic.Pointer[longestHold]
}

// longestHold is the longest hold that was in force lately, and when it was. Should
// Redis lose its state it knows nothing of other pods' leases any more, nor when
// it loses it again during the hold that this costs.
type longestHold struct {
	hold time.Duration
	at   time.Time
}

// agreedFor is for how long lib/agree.lua keeps what a pod has asked for, which is
// longer than any permit lasts.
const agreedFor = 5 * time.Minute

// longestHold is the longest hold that any pod has needed lately.
func (q *RedisQueue) longestHold() time.Duration {
	own := q.config.stateHold()
	if l := q.known.longest.Load(); l != nil && time.Since(l.at) < agreedFor {
		return max(own, l.hold)
	}
	return own
}

// met notes what a script has said of the server, and for how long it has then
// closed every bucket.
func (q *RedisQueue) met(id identity, hold time.Duration) {
	word, why := id.cut()
	if word == "notice" && q.holdsFor(whyEmpty) { // it knows no script because it is new: said already
		word = "blind"
	}
	log := q.config.log
	lost := true
	switch word {
	case "process":
		log.Warn("another Redis server answers than before, which may have missed the last grants: every bucket stays closed for a while",
			"why", "it was restarted, has taken over from its master, or now serves the queue's slot of a cluster", "closed", hold)
	case "replication":
		log.Warn("another Redis server answers than before, which may have missed the last grants: every bucket stays closed for a while",
			"why", "its replication has a new ID: it was a replica for a while, a first replica has attached, or its backlog was freed", "closed", hold)
	case "notice":
		log.Warn("another Redis server answers than before, which may have missed the last grants: every bucket stays closed for a while",
			"why", "it did not know the claim script: it was restarted, has taken over, or somebody flushed its scripts", "closed", hold)
	case "edited":
		log.Warn("closed_until is missing in the limits, so that a hold may have been lost: every bucket stays closed for a while",
			"cure", "to open every bucket set it to 0", "closed", hold)
	case "evicted":
		log.Warn("it is not known any more when buckets open: every bucket stays closed for a while",
			"why", "opens and a slot are missing in Redis: they were deleted, or evicted for want of memory", "cure", "maxmemory-policy noeviction", "closed", hold)
	case "new":
		lost = false
		log.Info("it was not noted which Redis server wrote the queue's state: every bucket stays closed for a while",
			"why", "the pods before were of a version that did not note it, or could not", "closed", hold)
	default:
		lost = false
	}
	if lost {
		q.config.observe(gatewayqueue.Event{Kind: gatewayqueue.EventStateLost})
	}
	if cause := causes[word]; cause != "" {
		q.holds(hold, cause)
		q.blockSaid(string(gatewayqueue.ReasonHold), holdBlocks(hold, cause), func() {}) // the log has it
	}
	if word == "blind" && strings.Contains(why, signOfMiniredis) {
		q.known.mini.Store(true)
	}
	if (word == "blind" || word == "notice") && !q.known.blind.Swap(true) {
		log.Warn("Redis does not tell scripts which server it is: that it was restarted or replaced is noticed only where the new one does not know the claim script",
			"kind", service(why), "error", why)
	}
}

// causes are why the words of met hold every bucket.
var causes = map[string]string{
	"process": whyAnother, "replication": whyAnother, "notice": whyAnother,
	"edited":  "closed_until was missing in the limits, so that a hold may have been lost",
	"evicted": "keys that say when buckets open are missing in Redis: deleted, or evicted",
	"new":     "it was not noted which Redis server wrote the queue's state",
}

// signOfMiniredis is in what it answers to INFO in a script.
const signOfMiniredis = "is not supported"

// service names the kind of Redis that does not tell scripts who it is.
func service(why string) string {
	for _, kind := range []struct{ sign, name string }{
		{signOfMiniredis, "miniredis, which is for tests"},
		{"NOPERM", withoutInfo}, {"can't run this command", withoutInfo}, {"no permissions", withoutInfo}, {"ACL failure", withoutInfo},
		{"has no ", "a managed service that leaves run_id or master_replid out of INFO"},
	} {
		if strings.Contains(why, kind.sign) {
			return kind.name
		}
	}
	return "a server on which scripts cannot call INFO"
}

const withoutInfo = "a Redis user without +info: add it (docs/operations.md, The least rights)"

// agree notes the options that are in force, by what a claim has answered.
func (q *RedisQueue) agree(r claimReply) {
	own, window, hold := q.config.window, r.window, r.hold
	if hold >= q.longestHold() {
		q.known.longest.Store(&longestHold{hold, time.Now()})
	}
	if q.known.window.Swap(int64(window)) != int64(window) && window > own {
		q.config.log.Warn("other pods have a longer window: it counts for all until they have been gone for 5 minutes", "window", window, "own", own)
	}
	if q.known.copies.Swap(int64(r.replicas)) != int64(r.replicas) && r.replicas > q.config.replicas {
		q.config.log.Warn("other pods want more replicas to acknowledge a grant: that counts for all until they have been gone for 5 minutes",
			"replicas", r.replicas, "own", q.config.replicas)
		if !canAskReplicas(q.store.client) {
			q.config.log.Warn("this pod's client cannot ask replicas to acknowledge, so that nothing is granted here",
				"cure", "give New a *redis.Client or *redis.ClusterClient", "client", fmt.Sprintf("%T", q.store.client))
		}
	}
	if q.known.hold.Swap(int64(hold)) != int64(hold) && window <= own && hold > q.config.stateHold() {
		q.config.log.Warn("other pods have a longer lease or margin: a loss of state closes every bucket for as long as they need",
			"hold", hold, "own", q.config.stateHold())
	}
}
