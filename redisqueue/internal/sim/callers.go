package sim

import (
	"time"

	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
)

// caller is one call of Wait or Acquire.
type caller struct {
	pod.Waiter
	plan   callerPlan
	life   int // how often its shard has waited before
	at     *simPod
	since  time.Time // when it came
	permit *pod.Permit
	done   bool // it has identified, or given its permit back
	gone   bool // it has left, or was refused
	back   bool // its shard waits again

	announcing bool // its IDENTIFY is about to leave
}

func (c *caller) over() bool { return c.done || c.gone }

// join begins a shard's wait, at the pod that the plan says, or at the next that lives.
func (w *world) join(plan callerPlan, life int) {
	if life > 3 {
		return
	}
	for i := range w.pods {
		p := w.pods[(plan.pod+i)%len(w.pods)]
		if p.dead || p.closed {
			continue
		}
		c := &caller{plan: plan, life: life, at: p, since: w.now}
		c.Waiter = pod.Waiter{Shard: plan.shard, Permit: plan.permit, Since: p.mono(), Owner: c}
		if plan.deadline > 0 && life == 0 {
			c.Deadline = p.mono().Add(plan.deadline)
		}
		p.callers = append(p.callers, c)
		w.tell("%s: shard %d waits", p.name, c.Shard)
		p.step(pod.Join{Waiter: &c.Waiter})
		if plan.leave > 0 && life == 0 {
			p.in(plan.leave, c.leave)
		}
		if plan.deadline > 0 && life == 0 {
			p.in(plan.deadline, c.leave)
		}
		return
	}
	w.in(time.Second, func() { w.join(plan, life) })
}

// comeBack has the shard of a caller wait again, whose pod has gone.
func (w *world) comeBack(c *caller) {
	if !c.back && !c.done {
		c.back = true
		w.reach(PodReplaced)
		w.in(time.Second, func() { w.join(c.plan, c.life+1) })
	}
}

// leave is a context that ends.
func (c *caller) leave() {
	if c.over() || c.permit != nil {
		return
	}
	c.gone = true
	w := c.at.world
	w.reach(LeftClaiming)
	w.tell("%s: shard %d leaves", c.at.name, c.Shard)
	c.at.step(pod.Leave{Waiter: &c.Waiter})
}

// granted is a caller that hears of its grant, and wakes up to it.
func (c *caller) granted(g pod.Grant) {
	p := c.at
	w := p.world
	if c.plan.regrets && c.life == 0 {
		c.leave()
	}
	p.in(c.plan.wakes, func() {
		after := g.Sent.Until(p.moment())
		switch {
		case c.gone:
			w.reach(LeftGranted)
		case p.config.IsLate(g, after):
			w.reach(GrantLate)
			p.step(pod.Late{Waiter: &c.Waiter, After: after})
		case g.Permit == nil:
			p.step(pod.Taken{Waiter: &c.Waiter, After: after})
			c.identify(g.Bucket)
		default:
			p.step(pod.Taken{Waiter: &c.Waiter, After: after})
			c.permit = g.Permit
			p.in(c.plan.dial, c.dialled)
		}
	})
}

// good says that the permit may be used now.
func (c *caller) good() bool {
	now := c.at.moment()
	return c.at.mono().Before(c.permit.Owner.(*pod.Lifetime).Deadline(now))
}

func (c *caller) abandon() {
	c.done = true
	c.at.world.tell("%s: shard %d abandons", c.at.name, c.Shard)
	c.at.step(pod.Settle{Op: new(pod.Op), Permit: c.permit})
}

// dialled is a caller with a permit whose connection is open: it announces, and sends
// IDENTIFY if it may.
func (c *caller) dialled() {
	if c.plan.abandons && c.life == 0 {
		c.abandon()
		return
	}
	if !c.plan.announces {
		c.send(nil)
		return
	}
	op := new(pod.Op)
	op.Owner = func(err error) {
		if err != nil {
			c.abandon()
			return
		}
		c.at.in(c.plan.leaves, func() { c.send(op.Leaves) })
	}
	c.announcing = true
	c.at.step(pod.Announce{Op: op, Permit: c.permit})
}

// send looks whether IDENTIFY may leave, and sends it.
func (c *caller) send(leaves *pod.Lifetime) {
	now := c.at.moment()
	switch {
	case leaves != nil && leaves.Left(now) < 0:
		c.at.world.reach(AnnouncedTooLat)
		c.abandon()
	case !c.good():
		c.abandon()
	default:
		c.identify(c.permit.Bucket)
		c.at.step(pod.Settle{Op: new(pod.Op), Permit: c.permit, Identified: true})
	}
}

// identify is an IDENTIFY that leaves now.
func (c *caller) identify(bucket int) {
	w := c.at.world
	c.done = true
	w.tell("%s: shard %d identifies in bucket %d", c.at.name, c.Shard, bucket)
	w.judgeIdentify(c, bucket)
	if c.plan.again > 0 {
		w.in(c.plan.again, func() { w.join(c.plan, c.life+1) })
	}
}
