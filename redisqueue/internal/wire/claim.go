package wire

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

var claimScript = newScript(lua.Claim)

// Claim asks for a place in a bucket's line, and for the slot once it is free.
// lua/claim.lua says what each argument means.
type Claim struct {
	Place
	Shard, Bucket int
	Pod           string
	PodLease      time.Duration
	Known         View
	Permit        bool
	Closes        time.Duration // for how long a grant closes the bucket
	Usable        time.Duration // for how long the holder of a grant may identify
	UntilWanted   time.Duration // for how long the pod wants no grant
	Step          time.Duration // least time between two grants
	Reserve       int
	Backoff       int
	Asks          bool   // a limit source can be asked when a period is over
	Next          string // the pod's next ticket in this line
	Others        []Place
	Notice        bool // this server did not know the script
	Own           Agreed
}

// Agreed is what pods must agree on: the most of all counts.
type Agreed struct {
	Window, Grace, PodLease time.Duration
	Replicas                int // that must acknowledge a grant
}

// Encode encodes the call.
func (c Claim) Encode(keys Keys) Call {
	values := lua.Values{
		"ticket": c.Ticket, "arrival": c.score(), "shard": c.Shard, "bucket": c.Bucket, "pod": c.Pod, "pod_lease": c.PodLease,
		"known_epoch": c.Known.Epoch, "known_seq": c.Known.Seq, "known_buckets": c.Known.MaxConcurrency, "known_total": c.Known.Total,
		"permit": c.Permit, "closes": c.Closes, "usable": c.Usable, "until_wanted": c.UntilWanted, "step": c.Step,
		"reserve": c.Reserve, "period": gatewayqueue.LimitPeriod, "paid_ttl": PaidTTL,
		"next_ticket": c.Next, "backoff": c.Backoff, "asks": c.Asks, "notice": c.Notice,
		"own_window": c.Own.Window, "own_grace": c.Own.Grace, "own_pod_lease": c.Own.PodLease, "own_replicas": c.Own.Replicas,
	}
	var others []any
	for _, p := range c.Others {
		others = append(others, p.score(), p.Ticket)
	}
	return Call{claimScript, keys.of(claimScript.Keys, c.Bucket, c.Ticket), claimScript.Order(values, others...)}
}

// ClaimReply is the answer to a Claim; lua/claim.lua says what each code means.
type ClaimReply struct {
	Code   string
	Now    int64         // Redis's clock, in ms
	Wait   time.Duration // ask again then
	Ahead  int           // tickets before it, or before the pod's next one after a grant
	Left   int           // of the budget
	Seq    int64
	Head   string        // the first ticket that can be granted
	Back   bool          // the ticket had lost its place, and has it again
	More   bool          // of a grant: there are more tickets to remove before the pod's next
	Shut   time.Duration // for how long the bucket is certain to stay closed
	Reset  int64         // when the period ends, in ms; 0 before it begins
	Server string        // a word about the server that has answered, see lua/lib/server.lua
	Agreed Agreed        // in force, but for the pod lease
}

// Hold is for how long every bucket stays closed after a loss of state.
func (r ClaimReply) Hold() time.Duration { return r.Agreed.Window + r.Agreed.Grace }

// Decode decodes the answer.
func (c Claim) Decode(_ Keys, raw any) (ClaimReply, error) {
	r := newReply(raw).named(claimScript)
	reply := ClaimReply{
		Code: r.at("code").text(), Now: r.at("now").int64(), Wait: r.at("wait").span(), Ahead: r.at("ahead").int(),
		Left: r.at("remaining").int(), Seq: r.at("seq").int64(), Head: r.at("head").text(),
		Shut: r.at("shut").duration(), Reset: r.at("reset").int64(), Server: r.at("server").text(),
		Agreed: Agreed{Window: r.at("window").duration(), Grace: r.at("grace").duration(), Replicas: r.at("replicas").int()},
	}
	back := r.at("back").int()
	reply.Back, reply.More = back == 1, back == 2
	return reply, r.done()
}
