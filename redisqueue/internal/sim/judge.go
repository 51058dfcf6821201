package sim

import (
	"strconv"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/judge"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/redismodel"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// The rules, by the words in which a verdict names them.
const (
	ruleWindow  = "window"  // two identifies of a bucket are a window apart
	ruleBudget  = "budget"  // no more of them in a period than it has units
	ruleOnce    = "once"    // each pays one unit
	ruleOrder   = "order"   // nobody is granted while an earlier one waits
	rulePause   = "pause"   // nobody is granted while an operator has paused the grants
	ruleWaiting = "waiting" // once nothing fails any more, everybody who lives is granted
)

// judgeIdentify looks at an IDENTIFY as it leaves.
func (w *world) judgeIdentify(c *caller, bucket int) {
	d, now := w.discord, w.since()
	w.verdict.Identifies++
	d.spends = append(d.spends, judge.Spend{At: now, Units: 1})
	d.all = append(d.all, judge.Identify{At: now, Pod: c.at.name, Shard: c.Shard, Bucket: bucket})
	first := len(d.all) - 1
	for first > 0 && now-d.all[first-1].At < gatewayqueue.IdentifyDelay {
		first--
	}
	for _, v := range judge.Violations(d.all[first:], gatewayqueue.IdentifyDelay, d.ever) {
		w.broken(ruleWindow, "%v", v)
	}
	if w.countsBudget() {
		for _, p := range d.periods(now) {
			if over := p.Spent - d.limit.Total; over > 0 {
				w.broken(ruleBudget, "%d identifies more than the %d units of a period", over, d.limit.Total)
			}
		}
	}
}

// countsBudget says that what was spent is known: not where it was lost and nobody is
// asked, nor where its witnesses are deleted.
func (w *world) countsBudget() bool {
	return !w.plan.has("evict") && (w.plan.source || !w.redis.lost)
}

// judgeOrder looks at a grant that has just been paid, for a ticket that had its place
// since then; 0 if it had none: nobody whose pod lives, and wants a grant, stands before it.
func (w *world) judgeOrder(server *redismodel.Server, c wire.Claim, arrival float64) {
	now := float64(server.Now.UnixMilli())
	if arrival == 0 && c.Arrival != 0 {
		arrival = float64(c.Arrival)
	} else if arrival == 0 {
		arrival = now
	}
	names, scores := server.Members(queueKey(c.Bucket))
	for i, name := range names {
		_, owner, _, _ := wire.ParseTicket(name)
		earlier := scores[i] < arrival || scores[i] == arrival && name < c.Ticket
		if earlier && server.Score(prefix+"pods", owner) >= now && server.Score(prefix+"holds", owner) <= now {
			w.broken(ruleOrder, "%s is granted before %s, which came earlier", c.Ticket, name)
		}
	}
}

// judgeHead looks at whom a claim is told to wait for: somebody whose pod lives.
func (w *world) judgeHead(server *redismodel.Server, c wire.Claim, raw any) {
	r, err := c.Decode(keys, raw)
	if err != nil {
		w.broken(ruleWaiting, "%v", err)
		return
	}
	_, owner, _, ticket := wire.ParseTicket(r.Head)
	if r.Code == "wait" && ticket && server.Score(prefix+"pods", owner) < float64(server.Now.UnixMilli()) {
		w.broken(ruleWaiting, "%s waits for %s, whose pod is dead", c.Ticket, r.Head)
	}
}

func queueKey(bucket int) string { return prefix + "queue:" + strconv.Itoa(bucket) }

// judgeEnd looks at a run in which nothing has failed for a while.
func (w *world) judgeEnd() {
	for _, p := range w.all {
		for _, c := range p.callers {
			if !p.dead && !c.over() && c.permit == nil && !c.since.After(w.quietAt) && !w.usedUp && !w.backingOff {
				w.broken(ruleWaiting, "shard %d of %s still waits, %v after the last fault", c.Shard, p.name, w.plan.calm())
			}
		}
	}
	// Where nobody died and nothing was lost, each IDENTIFY has paid a unit, and nothing else has.
	quiet := !w.plan.has("die", "close", "evict", "budget lost", "flush", "failover", "two masters", "update") && !w.plan.source &&
		w.plan.resetAfter == 0 && len(w.permits()) == 0
	if spent := w.redis.master.Sum(prefix + "spent"); quiet && spent != w.verdict.Identifies {
		w.broken(ruleOnce, "%d have identified, and %d units are spent", w.verdict.Identifies, spent)
	}
}
