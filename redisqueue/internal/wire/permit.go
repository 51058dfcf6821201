package wire

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

var (
	identifiedScript = newScript(lua.Identified)
	renewScript      = newScript(lua.Renew)
	renewManyScript  = newScript(lua.RenewMany)
)

// Held names a permit in a call.
type Held struct {
	Ticket         string
	Bucket         int
	GrantedBuckets int // max_concurrency at the grant
}

// Identified says that a permit's IDENTIFY was sent, or that it is about to be.
type Identified struct {
	Held
	Closes    time.Duration // for how long the bucket stays closed
	Nth       int           // of announcements; 0 once IDENTIFY was sent
	Usable    time.Duration // for how long IDENTIFY may yet leave
	OwnWindow time.Duration
}

// Settled is the answer to Identified, and to each permit of a Renew.
type Settled struct {
	Code string // "gone" where the permit is no more; see the scripts
	Now  int64  // Redis's clock, in ms
	Seq  int64
}

func settledOf(r *reply) Settled {
	return Settled{Code: r.at("code").text(), Now: r.at("now").int64(), Seq: r.at("seq").int64()}
}

// Encode encodes the call.
func (i Identified) Encode(keys Keys) Call {
	return Call{identifiedScript, keys.of(identifiedScript.Keys, i.Bucket, i.Ticket), identifiedScript.Order(lua.Values{
		"ticket": i.Ticket, "bucket": i.Bucket, "closes": i.Closes, "granted_buckets": i.GrantedBuckets, "paid_ttl": PaidTTL,
		"own_window": i.OwnWindow, "period": gatewayqueue.LimitPeriod, "nth": i.Nth, "usable": i.Usable,
	})}
}

// Decode decodes the answer.
func (i Identified) Decode(_ Keys, raw any) (Settled, error) {
	r := newReply(raw).named(identifiedScript)
	return settledOf(r), r.done()
}

// Renewal is one permit of a Renew.
type Renewal struct {
	Held
	Lease  time.Duration // for how long its bucket is closed from now
	Good   time.Duration // for how much of that its holder may use it
	InTime bool          // its deadline has not passed, so that nobody else can have had the bucket
	Latest int64         // ms on Redis's clock: it is not renewed beyond this
}

// Renew closes the buckets of permits for longer, many in one call.
type Renew struct {
	Permits   []Renewal
	OwnWindow time.Duration
}

// Encode encodes the call.
func (n Renew) Encode(keys Keys) Call {
	calls := make([]Call, len(n.Permits))
	for i, r := range n.Permits {
		calls[i] = Call{renewScript, keys.of(renewScript.Keys, r.Bucket, r.Ticket), renewScript.Order(lua.Values{
			"ticket": r.Ticket, "bucket": r.Bucket, "permit_lease": r.Lease, "granted_buckets": r.GrantedBuckets, "paid_ttl": PaidTTL,
			"in_time": r.InTime, "latest": r.Latest, "own_window": n.OwnWindow, "usable": r.Good, "period": gatewayqueue.LimitPeriod,
		})}
	}
	if len(calls) == 1 {
		return calls[0]
	}
	many := Call{Script: renewManyScript, Args: []any{len(calls)}}
	for _, c := range calls {
		many.Args = append(many.Args, len(c.Keys), len(c.Args))
		many.Keys = append(many.Keys, c.Keys...)
	}
	for _, c := range calls {
		many.Args = append(many.Args, c.Args...)
	}
	return many
}

// Decode decodes the answer: as many as there were permits.
func (n Renew) Decode(_ Keys, raw any) ([]Settled, error) {
	if len(n.Permits) == 1 {
		raw = []any{raw}
	}
	list := newReply(raw).named(renewScript)
	replies := make([]Settled, len(n.Permits))
	for i := range replies {
		r := list.list()
		replies[i] = settledOf(r)
		if err := r.done(); err != nil {
			return nil, err
		}
	}
	return replies, list.done()
}
