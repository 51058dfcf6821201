// A roll-out, grant by grant: who gets the slot of each bucket, when, and out of which
// period of the budget.

package rollout

import (
	"cmp"
	"container/heap"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// mostPeriods is how many periods of the budget a roll-out is followed through.
const mostPeriods = 8

// simulation is a queue to which nobody comes but the shards of a request.
type simulation struct {
	step     time.Duration // between two grants of a bucket
	lanes    lanes
	backoffs []time.Time // shards of the request that come later

	total, reserve int
	left           int         // of the period
	reset          time.Time   // its end; zero while none has begun
	ends           []time.Time // of periods that are over
	dry            bool        // somebody waits for the reset

	at           time.Time // when the shards come
	coming       int       // of them that are not granted yet
	stalled      int       // of them that had to wait for a reset
	stalledUntil time.Time // the first of these resets
	last         time.Time // the last grant of all
	up           time.Time // the last grant of theirs
	after        int       // left after it
	lowest       int       // left after any of them
	spent        []Period
}

// lane is a bucket with its line: first those that wait already, then those that come.
type lane struct {
	ready           time.Time // the next grant, if there is a unit for it
	waiting, coming int
}

// lanes are a heap by the next grant; where two are ready at once, those who wait
// already come first.
type lanes []lane

func (l lanes) Len() int      { return len(l) }
func (l lanes) Swap(i, j int) { l[i], l[j] = l[j], l[i] }
func (l lanes) Less(i, j int) bool {
	return cmp.Or(l[i].ready.Compare(l[j].ready), cmp.Compare(min(1, l[j].waiting), min(1, l[i].waiting))) < 0
}
func (l *lanes) Push(any) { panic("no lane is added") }
func (l *lanes) Pop() any {
	all := *l
	last := all[len(all)-1]
	*l = all[:len(all)-1]
	return last
}

// newSimulation is a request on a queue whose buckets are closed until then, or for longer.
func newSimulation(s gatewayqueue.Status, r Request, until time.Time) *simulation {
	o := &simulation{
		step: s.Step, total: s.Budget.Total, reserve: s.Budget.Reserve, left: s.Budget.Remaining, reset: s.Budget.Reset,
		at: r.At, coming: r.Shards, last: s.Time, lowest: s.Budget.Total,
	}
	if o.step <= 0 {
		o.step = gatewayqueue.IdentifyDelay + gatewayqueue.GrantMargin
	}
	for id, b := range s.Buckets {
		closed := b.Closed
		if b.Permit { // for as long as its lease at most, but its holder will identify soon
			closed = o.step
		}
		l := lane{ready: later(until, s.Time.Add(closed)), waiting: b.Waiting}
		if id < r.Shards {
			l.coming = (r.Shards-1-id)/len(s.Buckets) + 1
		}
		if l.waiting == 0 {
			l.ready = later(l.ready, o.at)
		}
		if l.waiting+l.coming > 0 {
			o.lanes = append(o.lanes, l)
		}
	}
	for shard, until := range s.Backoffs {
		if shard < r.Shards && until.After(o.at) {
			o.backoffs = append(o.backoffs, until)
		}
	}
	heap.Init(&o.lanes)
	return o
}

// run grants to everybody, unless that takes more than a week of budgets.
func (o *simulation) run() {
	for len(o.lanes) > 0 {
		l := &o.lanes[0]
		now := l.ready
		if !o.reset.IsZero() && !now.Before(o.reset) {
			o.refill()
		}
		switch {
		case o.left > o.reserve:
			o.grant(l, now)
			if l.waiting+l.coming == 0 {
				heap.Pop(&o.lanes)
				continue
			}
		case o.reset.IsZero() || len(o.ends) == mostPeriods: // nobody knows when
			o.stalled = max(o.stalled, o.coming)
			return
		default:
			l.ready, o.dry = o.reset, true
		}
		heap.Fix(&o.lanes, 0)
	}
}

// refill ends a period that is over. The next begins with a grant.
func (o *simulation) refill() {
	if o.dry && o.reset.After(o.at) && o.coming > 0 && o.stalled == 0 {
		o.stalled, o.stalledUntil = o.coming, o.reset
	}
	o.ends, o.left, o.reset, o.dry = append(o.ends, o.reset), o.total, time.Time{}, false
}

func (o *simulation) grant(l *lane, now time.Time) {
	if o.left--; o.reset.IsZero() {
		o.reset = now.Add(gatewayqueue.LimitPeriod)
	}
	o.last = now
	if l.waiting > 0 {
		l.waiting--
	} else {
		l.coming--
		o.granted(now)
	}
	if l.ready = now.Add(o.step); l.waiting == 0 {
		l.ready = later(l.ready, o.at)
	}
}

// granted notes that a shard of the request was.
func (o *simulation) granted(now time.Time) {
	o.coming--
	o.up, o.after, o.lowest = now, o.left, min(o.lowest, o.left)
	if n := len(o.spent); n == 0 || !o.spent[n-1].Ends.Equal(o.reset) {
		o.spent = append(o.spent, Period{Ends: o.reset})
	}
	period := &o.spent[len(o.spent)-1]
	period.Cost, period.Left = period.Cost+1, o.left
}

// fill writes into a plan what has become of the shards.
func (o *simulation) fill(p *Plan) {
	if len(o.spent) > 0 {
		p.Periods, p.Lowest, p.Left = o.spent, o.lowest, o.after
	}
	if o.coming > 0 {
		return
	}
	p.Up = o.up
	for _, until := range o.backoffs {
		p.Up = later(p.Up, until)
	}
	p.Takes = p.Up.Sub(p.At)
}
