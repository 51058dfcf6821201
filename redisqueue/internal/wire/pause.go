package wire

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

var (
	pauseScript = newScript(lua.Pause)
	auditScript = newScript(lua.Audit)
)

// endless is written for a pause without an end, in ms: the last second of the year
// 9999, as lua/lib/limits.lua has it. So is every later moment.
const endless = 253402300799000

// written is an order as Redis keeps it, behind its time: for people who read it with
// redis-cli, and for Audit.
type written struct {
	Time time.Time `json:"time,omitzero"`
	What string    `json:"what"`
	For  string    `json:"for,omitempty"` // such as 30m0s
	Who  string    `json:"who"`
	Why  string    `json:"why"`
}

// Order pauses the grants of a queue, or resumes them.
type Order struct {
	What string // gatewayqueue.OrderPause or OrderResume
	gatewayqueue.Order
}

// Encode encodes the call.
func (o Order) Encode(keys Keys) Call {
	text := written{What: o.What, Who: o.Who, Why: o.Why}
	if o.For > 0 {
		text.For = o.For.String()
	}
	entry, _ := json.Marshal(text) // texts only: it cannot fail
	return Call{pauseScript, keys.of(pauseScript.Keys, 0, ""), pauseScript.Order(lua.Values{
		"stop": o.What == gatewayqueue.OrderPause, "lasts": o.For, "who": o.Who, "why": o.Why,
		"order": "," + string(entry[1:]), "kept": gatewayqueue.AuditKept,
	})}
}

// Decode decodes the answer: "same" where nothing was changed.
func (o Order) Decode(_ Keys, raw any) (code string, err error) {
	r := newReply(raw).named(pauseScript)
	return r.at("code").text(), r.done()
}

// Audit asks for the orders that were given, of all pods.
type Audit struct{}

// Encode encodes the call.
func (Audit) Encode(keys Keys) Call {
	return Call{auditScript, keys.of(auditScript.Keys, 0, ""), auditScript.Order(lua.Values{"most": gatewayqueue.AuditKept})}
}

// Decode decodes the answer.
func (Audit) Decode(_ Keys, raw any) (audit []gatewayqueue.AuditEntry, err error) {
	r := newReply(raw).named(auditScript)
	for orders := r.at("orders").list(); len(orders.values) > 0 && orders.err == nil; {
		var text written
		if json.Unmarshal([]byte(orders.text()), &text) != nil {
			continue // somebody has written it by hand
		}
		lasts, _ := time.ParseDuration(text.For)
		audit = append(audit, gatewayqueue.AuditEntry{
			Time: text.Time, What: text.What, Order: gatewayqueue.Order{Who: text.Who, Why: text.Why, For: lasts},
		})
	}
	return audit, r.done()
}

// pauseOf is the pause that the fields of limits tell of, or nil. What is no number pauses
// until somebody resumes, as the scripts have it.
func pauseOf(limits map[string]string, now int64) *gatewayqueue.PauseStatus {
	text, set := limits["paused_until"]
	if !set {
		return nil
	}
	until, known := wholeText(text)
	if known && until <= now {
		return nil
	}
	p := &gatewayqueue.PauseStatus{Who: limits["paused_by"], Why: limits["paused_why"]}
	if known && until < endless {
		p.Until = momentOf(until)
	}
	if at, err := strconv.ParseInt(limits["paused_at"], 10, 64); err == nil {
		p.Since = momentOf(at)
	}
	return p
}
