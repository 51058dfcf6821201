package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
)

// simPod is a pod and its callers.
type simPod struct {
	world   *world
	number  int
	name    string
	pod     *pod.Pod
	config  *pod.Config
	net     *rand.Rand // decides what becomes of its calls
	callers []*caller
	flights []*flight
	wakeAt  time.Time

	dead, closed bool
	slept        time.Duration // for how long its machine was suspended so far
	unseen       time.Duration // for how much of that no clock of its went on
	wall         time.Duration // by how much its wall clock is ahead
	still        time.Time     // until when it does nothing
	cutOff       time.Time     // until when it does not reach Redis
	slowly       time.Time     // until when its calls take long
	oldMaster    bool          // it still talks to the master of before
}

func newPod(w *world, n int) *simPod {
	name := fmt.Sprintf("pod-%d", len(w.all))
	epochs, id := 0, uint64(len(w.all))
	decides := w.random(2, id)
	p := &simPod{world: w, number: n, name: name, net: w.random(1, id)}
	p.config = &pod.Config{
		Timing: pod.Timing{
			Window: gatewayqueue.IdentifyDelay, Margin: gatewayqueue.GrantMargin, PermitMargin: gatewayqueue.IdentifiedMargin,
			PermitLease: w.plan.permitLease, PodLease: 3 * time.Second,
		},
		Name: name, App: "sim", Keys: keys, Limit: w.plan.limit(), LimitAt: begin, Refresh: 20 * time.Second, Backoff: w.plan.backoff,
		Replicas: w.plan.replicas, FailExhausted: w.plan.failExhausted,
		Reserve: pod.Reserve{Units: -1, Floor: func() int { return 0 }},
		Random:  decides.Float64,
		NewEpoch: func() string {
			epochs++
			return fmt.Sprintf("%s-%d", name, epochs)
		},
		Advise: func(err error) error { return err },
	}
	if w.plan.source {
		p.config.Source = &source{random: w.random(3, id)}
	}
	p.pod = pod.New(p.config)
	w.all = append(w.all, p)
	return p
}

// mono is what the pod's monotonic clock says: it stands still in a suspension.
func (p *simPod) mono() time.Time { return p.world.now.Add(-p.slept) }

func (p *simPod) moment() elapsed.Moment {
	return elapsed.At(p.mono()).Shifted(p.slept-p.unseen, p.slept-p.unseen+p.wall)
}

func (p *simPod) slow() time.Duration {
	if p.world.now.Before(p.slowly) {
		return p.world.plan.far
	}
	return p.world.plan.slow
}

// in does something in a pod later, unless it is dead by then. While it stands still
// that waits.
func (p *simPod) in(d time.Duration, do func()) {
	p.world.in(d, func() {
		switch {
		case p.dead:
		case p.world.now.Before(p.still):
			p.in(p.still.Sub(p.world.now), do)
		default:
			do()
		}
	})
}

func (p *simPod) step(e pod.Event) {
	if p.dead {
		return
	}
	if p.world.now.Before(p.still) {
		p.in(p.still.Sub(p.world.now), func() { p.step(e) })
		return
	}
	for _, command := range p.pod.Step(p.moment(), e) {
		p.do(command)
	}
	next := p.pod.Next().Add(p.slept)
	if !next.Equal(p.wakeAt) {
		p.wakeAt = next
		p.in(max(0, next.Sub(p.world.now)), func() {
			if p.wakeAt.Equal(next) {
				p.wakeAt = time.Time{}
				p.step(pod.Tick{})
			}
		})
	}
}

func (p *simPod) do(command pod.Command) {
	w := p.world
	switch c := command.(type) {
	case pod.Send:
		p.travel(c)
	case pod.Ask:
		p.ask(c)
	case pod.Granted:
		c.Waiter.Owner.(*caller).granted(c.Grant)
	case pod.Refused:
		p.refused(c.Waiter.Owner.(*caller), c.Err)
	case pod.Done:
		if then, ok := c.Op.Owner.(func(error)); ok {
			then(c.Err)
		}
	case pod.Good:
		life := c.Life
		c.Permit.Owner = &life
	case pod.Hangup:
		p.hangup()
	case pod.Observe:
		p.observe(c.Event)
	case pod.Log:
		w.tell("%s: %s", p.name, strings.ToLower(c.Text))
	}
}

func (p *simPod) observe(e gatewayqueue.Event) {
	w := p.world
	switch e.Kind {
	case gatewayqueue.EventExpired:
		w.reach(PermitExpired)
	case gatewayqueue.EventBackoff:
		w.backingOff = true
	case gatewayqueue.EventBlocked:
		var b *gatewayqueue.BlockedError
		if errors.As(e.Err, &b) && (b.Reason == gatewayqueue.ReasonBudget || b.Reason == gatewayqueue.ReasonLimits) {
			w.reach(BudgetUsedUp)
			w.usedUp = true
		}
	default:
	}
}

func (p *simPod) refused(c *caller, err error) {
	w := p.world
	c.gone = true
	var late *gatewayqueue.DeadlineError
	if errors.As(err, &late) {
		w.reach(Outlasted)
	}
	w.tell("%s: shard %d is refused: %v", p.name, c.Shard, err)
	if p.closed { // its shard waits elsewhere
		w.comeBack(c)
	}
}
