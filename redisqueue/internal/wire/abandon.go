package wire

import "github.com/gatewayqueue/gatewayqueue/lua"

var abandonScript = newScript(lua.Abandon)

// Abandon gives up tickets of a bucket: their places, and unless PlacesOnly is set
// what they were granted.
type Abandon struct {
	Bucket     int
	Tickets    []string
	LeavingPod string // the pod that leaves with them, or ""
	PlacesOnly bool   // what they were granted lapses by itself
	GoesOn     bool   // their wait may go on at another pod
}

// Abandons are the calls that give up tickets for callers that have gone: it is
// one call for those that wait for themselves, one for those whose wait may go on,
// and one for those whose wait had a grant before, which was paid for another.
func Abandons(bucket int, tickets []string) (calls []Abandon) {
	own, goOn, before := Abandon{Bucket: bucket}, Abandon{Bucket: bucket, GoesOn: true}, Abandon{Bucket: bucket, PlacesOnly: true}
	for _, t := range tickets {
		of := &own
		if wait, granted := WaitOf(t); granted {
			of = &before
		} else if wait != "" {
			of = &goOn
		}
		of.Tickets = append(of.Tickets, t)
	}
	for _, a := range []Abandon{before, goOn, own} {
		if len(a.Tickets) > 0 {
			calls = append(calls, a)
		}
	}
	return calls
}

// Encode encodes the call.
func (a Abandon) Encode(keys Keys) Call {
	list := keys.of(abandonScript.Keys, a.Bucket, "")
	var each []any
	for _, t := range a.Tickets {
		list = append(list, keys.of(abandonScript.EachKey, a.Bucket, t)...)
		each = append(each, t)
	}
	return Call{abandonScript, list, abandonScript.Order(lua.Values{
		"bucket": a.Bucket, "paid_ttl": PaidTTL, "places_only": a.PlacesOnly, "goes_on": a.GoesOn, "leaving_pod": a.LeavingPod,
	}, each...)}
}

// Decode decodes the answer: how many units went back.
func (a Abandon) Decode(_ Keys, raw any) (units int, err error) {
	r := newReply(raw).named(abandonScript)
	_, units = r.at("code").text(), r.at("units").int()
	return units, r.done()
}
