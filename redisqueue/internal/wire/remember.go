package wire

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue/lua"
)

var (
	rememberScript = newScript(lua.Remember)
	readyScript    = newScript(lua.Ready)
)

// Remember keeps a value under a key, unless the value is empty, and says which is
// in force.
type Remember struct {
	Key, Value string
	Keep       time.Duration // 0 is for ever
	Replace    bool          // one that is there already
}

// Remembered is the value in force, and for how long it is kept yet: negative for
// ever.
type Remembered struct {
	Value string
	Left  time.Duration
}

// Encode encodes the call.
func (m Remember) Encode(Keys) Call {
	return Call{rememberScript, []string{m.Key}, rememberScript.Order(lua.Values{"value": m.Value, "ttl": m.Keep, "replace": m.Replace})}
}

// Decode decodes the answer.
func (m Remember) Decode(_ Keys, raw any) (Remembered, error) {
	r := newReply(raw).named(rememberScript)
	value, left := r.at("value").text(), r.at("ttl").int64()
	return Remembered{value, time.Duration(left) * time.Millisecond}, r.done()
}

// Ready asks whether the server runs scripts and takes writes, whether claims are refused
// for what it holds, and for its limits.
type Ready struct{}

// Encode encodes the call.
func (Ready) Encode(keys Keys) Call {
	return Call{readyScript, keys.of(readyScript.Keys, 0, ""), readyScript.Order(nil)}
}

// Decode decodes the answer. The epoch is empty where Redis has no limits.
func (Ready) Decode(_ Keys, raw any) (View, error) {
	r := newReply(raw).named(readyScript)
	v := View{Epoch: r.at("epoch").text()}
	total, buckets := r.at("total").text(), r.at("max_concurrency").text()
	if err := r.done(); err != nil || v.Epoch == "" {
		return View{}, err
	}
	v.Total, v.MaxConcurrency = int(wholeOr(total, 0)), int(wholeOr(buckets, 0)) // the script has looked
	return v, nil
}

// MaxConcurrency bounds max_concurrency in a shared queue, so that the number of
// keys in one call stays within reason. Discord's largest bots have some hundreds
// of buckets.
const MaxConcurrency = 4096
