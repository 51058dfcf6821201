package wire

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/lua"
)

var beatScript = newScript(lua.Beat)

// Beat says that a pod lives, gives new tickets their places, and asks how lines
// stand.
type Beat struct {
	Pod      string
	PodLease time.Duration
	Known    View
	Refresh  time.Duration // how often the limit source is asked; 0 without one, and while this pod must not
	Reserve  int
	Lines    []BeatLine
}

// BeatLine is what a beat says of a line of the pod, and asks.
type BeatLine struct {
	Bucket int
	First  string  // the pod's first ticket in it
	Places []Place // those that take theirs
}

// Standing is how a line stands.
type Standing struct {
	Wait  time.Duration // until its bucket opens; -1 while a permit is out
	Ahead int           // tickets before the pod's first; -1 if that has lost its place
}

// BeatReply is the answer to a Beat.
type BeatReply struct {
	Code    string
	Now     int64 // Redis's clock, in ms
	Left    int   // of the budget; -1 if that is missing
	Seq     int64
	Reset   int64
	Refresh bool                      // this pod shall ask the limit source
	Lapse   time.Duration             // until the first lease of a pod ends that stands before this one; -1 for none
	More    bool                      // there are more tickets to remove before those of this pod
	Died    int                       // ms on Redis's clock: when a lease has ended last; -1 if none has lately
	Held    int                       // the same: when the last hold of a pod will end
	Pause   *gatewayqueue.PauseStatus // nil if grants are not paused; Since is not told
	Lines   []Standing                // as many as were asked for; none with "resync"
}

// Ended is the reset (ms), if it is over: whatever is left then is no more.
func (r BeatReply) Ended() int64 {
	if r.Reset > r.Now {
		return 0
	}
	return r.Reset
}

// Encode encodes the call.
func (b Beat) Encode(keys Keys) Call {
	list := keys.of(beatScript.Keys, 0, "")
	var each []any
	for _, l := range b.Lines {
		list = append(list, keys.of(beatScript.EachKey, l.Bucket, "")...)
		each = append(each, l.Bucket, l.First, len(l.Places))
		for _, p := range l.Places {
			each = append(each, p.score(), p.Ticket)
		}
	}
	return Call{beatScript, list, beatScript.Order(lua.Values{
		"pod": b.Pod, "pod_lease": b.PodLease, "known_epoch": b.Known.Epoch, "known_seq": b.Known.Seq, "known_buckets": b.Known.MaxConcurrency,
		"known_total": b.Known.Total, "refresh_every": b.Refresh, "reserve": b.Reserve,
	}, each...)}
}

// Decode decodes the answer.
func (b Beat) Decode(_ Keys, raw any) (BeatReply, error) {
	r := newReply(raw).named(beatScript)
	reply := BeatReply{
		Code: r.at("code").text(), Now: r.at("now").int64(), Left: r.at("remaining").optional(), Seq: r.at("seq").int64(),
		Reset: r.at("reset").int64(), Refresh: r.at("refresh").int() == 1, Lapse: r.at("lapse").optionalSpan(),
		More: r.at("more").int() == 1, Died: r.at("died").optional(), Held: r.at("hold").optional(),
	}
	if paused := r.at("paused").text(); paused != "" {
		reply.Pause = pauseOf(map[string]string{
			"paused_until": paused, "paused_by": r.at("paused_by").text(), "paused_why": r.at("paused_why").text(),
		}, reply.Now)
	}
	if reply.Code == "resync" {
		return reply, r.done()
	}
	r.rest()
	for range b.Lines {
		reply.Lines = append(reply.Lines, Standing{Wait: r.optionalSpan(), Ahead: r.optional()})
	}
	return reply, r.done()
}
