package pod

import (
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// acquaintance is what this pod knows of the server and of other pods, and has said of
// them, so that it says each thing once.
type acquaintance struct {
	unknown  bool                      // the server did not know the claim, and has not been told to close yet
	replicas int                       // that must acknowledge a grant: the most of all pods, as last heard
	alone    *wire.UnacknowledgedError // of the last grant, if it did not count

	blind  bool          // it tells scripts nothing of itself, and the log has said so
	mini   bool          // it is miniredis
	probed bool          // it was looked whether its TTLs run down
	still  bool          // they do not
	window time.Duration // in force, as last heard; and so are the next two
	hold   time.Duration
	copies int // replicas

	longest   time.Duration // the longest hold that was in force lately
	longestAt time.Time     // when that was
}

// longestHold is the longest hold that any pod has needed lately. Should Redis lose
// its state it knows nothing of other pods' leases any more, nor when it loses it
// again during the hold that this costs.
func (p *Pod) longestHold() time.Duration {
	own, s := p.cfg.StateHold(), &p.server
	if !s.longestAt.IsZero() && p.now.Time().Sub(s.longestAt) < agreedFor {
		return max(own, s.longest)
	}
	return own
}

const textAnother = "another Redis server answers than before, which may have missed the last grants: every bucket stays closed for a while"

// met notes what a script has said of the server, a word of lua/lib/server.lua with
// its reason, and for how long it has then closed every bucket. It says so once in a
// whole fleet.
func (p *Pod) met(server string, hold time.Duration) {
	word, why, _ := strings.Cut(server, " ")
	if word == "notice" && p.hold.why == whyEmpty && p.hold.until.After(p.now.Time()) { // it knows no script because it is new: said already
		word = "blind"
	}
	cause, lost := whyAnother, true
	switch word {
	case "process":
		p.warn(textAnother, "why", "it was restarted, has taken over from its master, or now serves the queue's slot of a cluster", "closed", hold)
	case "replication":
		p.warn(textAnother, "why", "its replication has a new ID: it was a replica for a while, a first replica has attached, or its backlog was freed", "closed", hold)
	case "notice":
		p.warn(textAnother, "why", "it did not know the claim script: it was restarted, has taken over, or somebody flushed its scripts", "closed", hold)
	case "edited":
		cause = "closed_until was missing in the limits, so that a hold may have been lost"
		p.warn("closed_until is missing in the limits, so that a hold may have been lost: every bucket stays closed for a while",
			"cure", "to open every bucket set it to 0", "closed", hold)
	case "evicted":
		cause = "keys that say when buckets open are missing in Redis: deleted, or evicted"
		p.warn("it is not known any more when buckets open: every bucket stays closed for a while",
			"why", "opens and a slot are missing in Redis: they were deleted, or evicted for want of memory", "cure", "maxmemory-policy noeviction", "closed", hold)
	case "new":
		cause, lost = "it was not noted which Redis server wrote the queue's state", false
		p.info("it was not noted which Redis server wrote the queue's state: every bucket stays closed for a while",
			"why", "the pods before were of a version that did not note it, or could not", "closed", hold)
	default:
		cause, lost = "", false
	}
	if lost {
		p.observe(gatewayqueue.Event{Kind: gatewayqueue.EventStateLost})
	}
	if cause != "" {
		p.holds(hold, cause)
		p.blockSaid(string(gatewayqueue.ReasonHold), holdBlocks(hold, cause), nil)
	}
	if word != "blind" && word != "notice" {
		return
	}
	p.server.mini = p.server.mini || word == "blind" && strings.Contains(why, signOfMiniredis)
	if !p.server.blind {
		p.server.blind = true
		p.warn("Redis does not tell scripts which server it is: that it was restarted or replaced is noticed only where the new one does not know the claim script",
			"kind", service(why), "error", why)
	}
}

// signOfMiniredis is in what it answers to INFO in a script.
const signOfMiniredis = "is not supported"

// service names the kind of Redis that does not tell scripts what server it is.
func service(why string) string {
	switch {
	case strings.Contains(why, signOfMiniredis):
		return "miniredis, which is for tests"
	case wire.Denied(why):
		return "a Redis user without +info: add it (docs/operations.md, The least rights)"
	case strings.Contains(why, "has no "):
		return "a managed service that leaves run_id or master_replid out of INFO"
	}
	return "a server on which scripts cannot call INFO"
}

// agree notes what pods have agreed on, by what a claim has answered.
func (p *Pod) agree(r wire.ClaimReply) {
	s, own, window, hold, replicas := &p.server, p.cfg.StateHold(), r.Agreed.Window, r.Hold(), r.Agreed.Replicas
	if hold >= p.longestHold() {
		s.longest, s.longestAt = hold, p.now.Time()
	}
	if s.window != window && window > p.cfg.Window {
		p.warn("other pods have a longer window: it counts for all until they have been gone for 5 minutes", "window", window, "own", p.cfg.Window)
	}
	if s.copies != replicas && replicas > p.cfg.Replicas {
		p.warn("other pods want more replicas to acknowledge a grant: that counts for all until they have been gone for 5 minutes",
			"replicas", replicas, "own", p.cfg.Replicas)
		if p.cfg.CannotAsk != "" {
			p.warn("this pod's client cannot ask replicas to acknowledge, so that nothing is granted here",
				"cure", "give New a *redis.Client or *redis.ClusterClient", "client", p.cfg.CannotAsk)
		}
	}
	if s.hold != hold && window <= p.cfg.Window && hold > own {
		p.warn("other pods have a longer lease or margin: a loss of state closes every bucket for as long as they need", "hold", hold, "own", own)
	}
	s.window, s.hold, s.copies = window, hold, replicas
}

// unacknowledged notes that a grant does not count, or with nil that one does.
func (p *Pod) unacknowledged(err *wire.UnacknowledgedError) {
	before := p.server.alone
	p.server.alone = err
	switch {
	case (before == nil) == (err == nil): // said already
	case err == nil:
		p.info("Redis's replicas acknowledge grants again")
	default:
		p.warn("Redis's replicas do not acknowledge grants: none counts until they do", "acknowledged", err.Acked, "want", err.Want)
		p.blockSaid("alone", storeBlocks(err), nil)
	}
}

// probe looks whether TTLs run down by themselves, on a server that is miniredis: in
// it they do only where it was told so, and no bucket would ever open. It does so
// after a grant, whose slot has a TTL, and reads that twice.
func (p *Pod) probe(bucket int) {
	if !p.server.mini || p.server.probed || p.closed {
		return
	}
	p.server.probed = true
	p.readSlot(bucket, wire.Remembered{})
}

// readSlot reads the slot of a bucket until two readings tell: where TTLs stand still
// no further grant comes by which to ask again.
func (p *Pod) readSlot(bucket int, before wire.Remembered) {
	p.after(probeAfter, func() {
		if p.closed {
			return
		}
		send(p, Calls, wire.Remember{Key: p.cfg.Keys.Slot(bucket)}, func(a answer[wire.Remembered]) {
			switch {
			case a.err != nil:
				p.after(time.Second, func() { p.readSlot(bucket, wire.Remembered{}) })
			case a.reply.Value != before.Value, a.reply.Left > before.Left: // the first reading, or a report
				p.readSlot(bucket, a.reply)
			case a.reply.Value != "" && a.reply.Left == before.Left:
				p.server.still = true
				p.block(standsStill())
			}
		})
	})
}

func standsStill() *gatewayqueue.BlockedError {
	return &gatewayqueue.BlockedError{
		Reason: gatewayqueue.ReasonStore,
		Text:   "the TTLs of this Redis stand still, so that no bucket ever opens",
		Cure:   "it is miniredis: call ClockTTL(true) on it at the start of the test",
	}
}
