package wire

import (
	"maps"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

var (
	syncScript     = newScript(lua.Sync)
	postponeScript = newScript(lua.Postpone)
)

// Report is limits, and when they were true.
type Report struct {
	gatewayqueue.SessionStartLimit
	Asked int64 // when the source was asked for them, in ms on Redis's clock; 0 if nobody was
}

// Sync agrees with Redis on limits and state.
type Sync struct {
	Update    bool // the limits are to be changed; else to be learned, and seeded if need be
	Known     View
	NewEpoch  string        // to use if state was lost; the name of an update by hand, the same each time it is sent
	LostHold  time.Duration // for how long every bucket is closed if state was lost
	LeastHold time.Duration
	Refresh   time.Duration
	MayAsk    bool // the pod may ask its source now
	Asks      bool // figures are to be asked for when a period is over
	Fresh     bool // an empty Redis is a new one
	Buckets   int  // how many the pod knows
	Limit     *Report
}

// SyncReply is the answer to a Sync.
type SyncReply struct {
	Code   string
	Now    int64 // Redis's clock, in ms
	View   View
	Closed time.Duration // for how long every bucket is
	Server string        // as in ClaimReply
}

// NotYet says that nothing was agreed on: the limit source is to be asked (again).
func (r SyncReply) NotYet() bool {
	switch r.Code {
	case "busy", "ask", "over", "stale":
		return true
	}
	return false
}

// Encode encodes the call.
func (s Sync) Encode(keys Keys) Call {
	figures := lua.Values{"new_total": "", "new_left": 0, "new_reset_after": 0, "new_buckets": 0, "asked": ""}
	if l := s.Limit; l != nil {
		figures = lua.Values{
			"new_total": l.Total, "new_left": l.Remaining, "new_reset_after": l.ResetAfter, "new_buckets": l.MaxConcurrency,
			"asked": orEmpty(l.Asked, l.Asked != 0),
		}
	}
	values := lua.Values{
		"update": s.Update, "known_epoch": s.Known.Epoch, "known_seq": s.Known.Seq, "known_reset": s.Known.Reset,
		"known_left": orEmpty(int64(s.Known.Remaining), s.Known.Epoch != ""),
		"new_epoch":  s.NewEpoch, "lost_hold": s.LostHold, "least_hold": s.LeastHold, "refresh_in": s.Refresh,
		"may_ask": s.MayAsk, "asks": s.Asks, "fresh": s.Fresh, "period": gatewayqueue.LimitPeriod,
	}
	maps.Copy(values, figures)
	list := keys.of(syncScript.Keys, 0, "")
	for b := range s.Buckets {
		list = append(list, keys.of(syncScript.EachKey, b, "")...)
	}
	return Call{syncScript, list, syncScript.Order(values)}
}

// Decode decodes the answer.
func (s Sync) Decode(_ Keys, raw any) (SyncReply, error) {
	r := newReply(raw).named(syncScript)
	reply := SyncReply{Code: r.at("code").text(), Now: r.at("now").int64(), View: View{
		Epoch: r.at("epoch").text(), Seq: r.at("seq").int64(), MaxConcurrency: r.at("max_concurrency").int(), Total: r.at("total").int(),
		Remaining: r.at("remaining").int(), Reset: r.at("reset_at").int64(),
	}}
	reply.Closed = inMilliseconds(max(r.at("closed_until").int64()-reply.Now, 0))
	reply.Server = r.at("server").text()
	return reply, r.done()
}

// longestTrouble is how much of a source's error is kept in Redis, in bytes.
const longestTrouble = 300

// Postpone notes that the limit source has failed, and for how long no pod may
// ask it.
type Postpone struct {
	Wait    time.Duration
	Trouble string
}

// Encode encodes the call.
func (p Postpone) Encode(keys Keys) Call {
	trouble := strings.ToValidUTF8(p.Trouble[:min(len(p.Trouble), longestTrouble)], "")
	return Call{postponeScript, keys.of(postponeScript.Keys, 0, ""), postponeScript.Order(lua.Values{"wait": p.Wait, "trouble": trouble})}
}

// Decode decodes the answer.
func (p Postpone) Decode(_ Keys, raw any) (code string, err error) {
	r := newReply(raw).named(postponeScript)
	return r.at("code").text(), r.done()
}
