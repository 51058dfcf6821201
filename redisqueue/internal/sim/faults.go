package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// fault is something that happens in a run.
type fault struct {
	kind  string
	at    time.Duration
	lasts time.Duration
	pod   int
	seed  uint64 // decides what else there is to decide
}

// kind is a kind of fault.
type kind struct {
	name    string
	longest time.Duration         // that it lasts
	may     func(p *plan) bool    // nil for in any run
	do      func(w *world, s hit) // what happens
}

// hit is a fault as it happens.
type hit struct {
	fault
	pod    *simPod
	random *rand.Rand
}

// kinds are all kinds of faults.
var kinds []kind

func kindOf(name string) kind {
	return kinds[slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })]
}

func init() {
	kinds = []kind{
		{name: "die", longest: 30 * time.Second, do: die},
		{name: "close", longest: 30 * time.Second, do: closePod},
		{name: "stall", longest: 8 * time.Second, do: stall},
		{name: "suspend", longest: 20 * time.Second, do: suspend},
		{name: "guest", longest: 20 * time.Second, do: pauseGuest},
		{name: "wall clock", do: stepClock},
		{name: "cut off", longest: 15 * time.Second, do: cutOff},
		{name: "slow", longest: 20 * time.Second, do: slowDown},
		{name: "away", longest: 12 * time.Second, do: goAway},
		{name: "flush", do: flush},
		{name: "failover", longest: 4 * time.Second, do: failOver},
		{name: "two masters", longest: 10 * time.Second, may: func(p *plan) bool { return p.replicas > 0 }, do: twoMasters},
		{name: "forget scripts", do: forgetScripts},
		{name: "evict", do: evict},
		{name: "slot lost", do: loseSlot},
		{name: "budget lost", may: func(p *plan) bool { return !p.source }, do: loseBudget},
		{name: "update", do: update},
		{name: "source", may: func(p *plan) bool { return p.source }, do: sourceChanges},
		{name: "source fails", longest: 20 * time.Second, may: func(p *plan) bool { return p.source }, do: sourceFails},
		{name: "pause", longest: 20 * time.Second, do: pause},
	}
}

// tail is for how long a fault goes on at most, beyond what it lasts.
func (f fault) tail() time.Duration { return 20 * time.Second }

// strike makes a fault happen.
func (w *world) strike(f fault) {
	h := hit{f, w.pods[f.pod], rand.New(rand.NewPCG(f.seed, 4))} //nolint:gosec // It decides a schedule.
	w.tell("--- %s, %v, %s", f.kind, f.lasts, h.pod.name)
	kindOf(f.kind).do(w, h)
}

// die ends a pod at once. Another one takes its place, and its shards wait again.
func die(w *world, h hit) {
	if h.pod.dead {
		return
	}
	for _, c := range h.pod.callers {
		switch {
		case c.over():
		case c.permit != nil:
			w.reach(PodDiedPermit)
		default:
			w.reach(PodDied)
		}
	}
	h.pod.dead = true
	w.in(h.lasts, func() { w.replace(h.pod) })
}

func (w *world) replace(p *simPod) {
	if w.pods[p.number] != p {
		return
	}
	w.pods[p.number] = newPod(w, p.number)
	for _, c := range p.callers {
		if !c.over() {
			w.comeBack(c)
		}
	}
}

func closePod(w *world, h hit) {
	if h.pod.dead || h.pod.closed {
		return
	}
	h.pod.closed = true
	if w.waiting() {
		w.reach(PodClosed)
	}
	h.pod.step(pod.Close{})
	w.in(h.lasts, func() { w.replace(h.pod) })
}

// stall is a pod that gets no CPU, or is stopped by a signal.
func stall(w *world, h hit) {
	h.pod.still = w.now.Add(h.lasts)
	w.reach(PodStalled)
}

// suspend is a machine that sleeps: its monotonic clock stands still meanwhile.
func suspend(w *world, h hit) {
	p := h.pod
	if w.now.Before(p.still) {
		return
	}
	for _, c := range p.callers {
		if c.permit != nil && !c.over() {
			w.reach(PodSuspended)
		}
	}
	p.still = w.now.Add(h.lasts)
	w.in(h.lasts, func() { p.slept += h.lasts })
}

// pauseGuest is a guest that is paused with all of its clocks. Only Redis can tell then,
// when an IDENTIFY is announced: what nobody announces, or has announced just now, is not
// covered (docs/reliability.md).
func pauseGuest(w *world, h hit) {
	p := h.pod
	for _, c := range p.callers {
		if !c.over() && (!c.plan.permit || !c.plan.announces || c.announcing) {
			return
		}
	}
	if w.now.Before(p.still) {
		return
	}
	w.reach(GuestPaused)
	p.still = w.now.Add(h.lasts)
	w.in(h.lasts, func() {
		p.slept += h.lasts
		p.unseen += h.lasts
	})
}

func stepClock(w *world, h hit) {
	w.reach(ClockStepped)
	h.pod.wall += some(h.random, 2*time.Hour) - time.Hour
	h.pod.step(pod.Tick{})
}

func cutOff(w *world, h hit) {
	for _, c := range h.pod.callers {
		if c.permit != nil && !c.over() {
			w.reach(CutOff)
		}
	}
	h.pod.cutOff = w.now.Add(h.lasts)
}

func slowDown(w *world, h hit) { h.pod.slowly = w.now.Add(h.lasts) }

func goAway(w *world, h hit) {
	w.reach(ServerAway)
	w.redis.away = w.now.Add(h.lasts)
}

// flush loses the server's state.
func flush(w *world, _ hit) {
	w.reach(StateLost)
	if len(w.permits()) > 0 {
		w.reach(LostWithPermit)
	}
	w.redis.lost = true
	w.redis.master.FlushAll()
	w.redis.master.ForgetScripts()
}

func forgetScripts(w *world, _ hit) {
	w.reach(ScriptsForgot)
	w.redis.master.ForgetScripts()
}

// evict deletes a key or two that the queue could do without.
func evict(w *world, h hit) {
	w.reach(Evicted)
	if h.random.IntN(3) == 0 { // both witnesses of a bucket
		w.redis.master.Delete(prefix + "opens")
		w.redis.master.Delete(fmt.Sprint(prefix, "slot:", h.random.IntN(w.plan.buckets)))
		return
	}
	names := []string{"opens", "remaining", "limits", "pods", "spent", "backoffs", "holds", "out", "queue:0", "queue:1", "slot:0", "slot:1"}
	for range 1 + h.random.IntN(2) {
		name := names[h.random.IntN(len(names))]
		w.tell("%s is deleted", name)
		w.redis.master.Delete(prefix + name)
	}
}

// loseSlot deletes one of the witnesses of a closed bucket.
func loseSlot(w *world, h hit) {
	w.reach(Evicted)
	bucket := h.random.IntN(w.plan.buckets)
	w.redis.master.Delete(fmt.Sprint(prefix, "slot:", bucket))
	w.tell("slot:%d is deleted", bucket)
}

// loseBudget deletes what is left of the budget, and maybe who has spent it.
func loseBudget(w *world, h hit) {
	if w.plan.has("update") && w.plan.has("die", "close") {
		return // what an update by hand said nobody may know any more, see docs/reliability.md
	}
	w.reach(BudgetLost)
	w.redis.master.Delete(prefix + "remaining")
	if h.random.IntN(2) == 0 && !w.plan.has("die", "close") { // else nobody need know it
		w.redis.master.Delete(prefix + "spent")
	}
}

// update changes max_concurrency by hand, with Discord's figures.
func update(w *world, h hit) {
	w.changeBuckets(h)
	limit := w.discord.report()
	if h.pod.dead || h.pod.closed {
		return
	}
	h.pod.step(pod.Update{Op: new(pod.Op), Limit: wire.Report{SessionStartLimit: limit}})
}

func (w *world) changeBuckets(h hit) {
	if w.waiting() {
		w.reach(Rebucketed)
	}
	if len(w.permits()) > 0 {
		w.reach(RebucketPermit)
	}
	w.discord.change(1 << h.random.IntN(4))
	w.tell("max_concurrency is %d", w.discord.buckets)
}

// sourceChanges changes max_concurrency at Discord; a refresh brings it.
func sourceChanges(w *world, h hit) { w.changeBuckets(h) }

func sourceFails(w *world, h hit) { w.discord.failing = w.now.Add(h.lasts) }

// pause is an operator.
func pause(w *world, h hit) {
	w.reach(GrantsPaused)
	order := func(what string) {
		call := wire.Order{What: what, Order: gatewayqueue.Order{Who: "somebody"}}.Encode(keys)
		w.redis.master.Now = w.now.Add(w.redis.ahead)
		_, _ = w.redis.master.Eval(w.mutant.applied(call.Script.Source), call.Keys, call.Args)
	}
	order(gatewayqueue.OrderPause)
	w.in(h.lasts, func() { order(gatewayqueue.OrderResume) })
	w.in(w.quietAt.Sub(w.now), func() { order(gatewayqueue.OrderResume) }) // a failover may have lost that
}
