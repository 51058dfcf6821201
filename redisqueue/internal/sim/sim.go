// Package sim runs pods of a queue against their scripts in simulated time. One seed
// decides everything: who waits and leaves, how long each call takes, which are lost
// or come twice, which pods die, when state is lost. So a run that breaks a rule is
// run again to the last call by its seed.
//
// The pods are those of package pod, the scripts are run by package redismodel, and the judge
// is the rule itself: two IDENTIFYs of a bucket are a window apart, and no more leave
// than the budget has.
package sim

import (
	"container/heap"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/elapsed"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/pod"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/redismodel"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

// Point is something that runs must have come to, or they search too little.
type Point string

// The points.
const (
	LateCopyRan    Point = "a late copy of a call was executed"
	ReplyLost      Point = "a call was executed and its reply lost"
	PodDied        Point = "a pod died with waiters"
	PodDiedPermit  Point = "a pod died with a permit out"
	StateLost      Point = "state was lost"
	LostWithPermit Point = "state was lost with a permit out"
	GrantLate      Point = "a grant came too late, and was claimed again"
	LeftClaiming   Point = "a caller left while its claim was on its way"
	BudgetUsedUp   Point = "the budget was used up"
	Rebucketed     Point = "max_concurrency changed with waiters"
)

// Points are all of them.
var Points = []Point{LateCopyRan, ReplyLost, PodDied, PodDiedPermit, StateLost, LostWithPermit, GrantLate, LeftClaiming, BudgetUsedUp, Rebucketed}

// Verdict is what a run has come to.
type Verdict struct {
	Identifies int
	Calls      int
	Broken     []string // the rules that were broken, in words
	Reached    map[Point]int
	Story      []string // what happened, line by line
}

// Run runs one schedule.
func Run(seed uint64) Verdict {
	w := newWorld(seed, redismodel.New())
	w.run()
	return w.verdict
}

// happening is something that is to happen.
type happening struct {
	at  time.Time
	seq int // of those at one moment, the order in which they were planned
	do  func()
}

type agenda []happening

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	if a[i].at.Equal(a[j].at) {
		return a[i].seq < a[j].seq
	}
	return a[i].at.Before(a[j].at)
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }

// Push and Pop are for package heap.
func (a *agenda) Push(x any) { *a = append(*a, x.(happening)) }

// Pop is for package heap.
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	*a = (*a)[:len(*a)-1]
	return last
}

// world is everything in a run.
type world struct {
	rand    *rand.Rand
	plan    plan
	now     time.Time
	next    agenda
	planned int
	server  *redismodel.Server
	pods    []*simPod
	last    map[int]time.Time // when a shard of a bucket identified last
	verdict Verdict
}

// plan is what a run is made of: each draws its own subset of faults.
type plan struct {
	pods, shards, buckets, total int
	permits                      float64 // the part of the callers that acquire
	slow                         time.Duration
	lose, twice, leave, die      float64
	flush, update                bool
	stall                        float64 // the part of the callers that wake up late
}

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// lasts bounds a run, in simulated time.
const lasts = 10 * time.Minute

func newWorld(seed uint64, server *redismodel.Server) *world {
	w := &world{
		rand: rand.New(rand.NewPCG(seed, 1)), now: begin, server: server, //nolint:gosec // It decides a schedule.
		last: make(map[int]time.Time), verdict: Verdict{Reached: make(map[Point]int)},
	}
	some := func(p float64) float64 {
		if w.rand.IntN(2) == 0 {
			return 0
		}
		return p * w.rand.Float64()
	}
	w.plan = plan{
		pods: 1 + w.rand.IntN(4), shards: 2 + w.rand.IntN(20), buckets: 1 << w.rand.IntN(3), total: 1000,
		permits: w.rand.Float64(), slow: time.Duration(1+w.rand.IntN(300)) * time.Millisecond,
		lose: some(0.2), twice: some(0.2), leave: some(0.3), die: some(0.7), stall: some(0.3),
		flush: w.rand.IntN(4) == 0, update: w.rand.IntN(5) == 0,
	}
	if w.rand.IntN(3) == 0 {
		w.plan.total = w.plan.shards + w.plan.buckets // the reserve leaves too little for all
	}
	server.RunID, server.Replid = "aaaa", "bbbb"
	return w
}

func (w *world) say(format string, args ...any) {
	w.verdict.Story = append(w.verdict.Story, fmt.Sprintf("%8.3f ", w.now.Sub(begin).Seconds())+fmt.Sprintf(format, args...))
}

func (w *world) reach(p Point) { w.verdict.Reached[p]++ }

func (w *world) broken(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	w.say("BROKEN: %s", text)
	w.verdict.Broken = append(w.verdict.Broken, text)
}

func (w *world) in(d time.Duration, do func()) {
	w.planned++
	heap.Push(&w.next, happening{w.now.Add(d), w.planned, do})
}

func (w *world) some(longest time.Duration) time.Duration {
	return time.Duration(w.rand.Int64N(int64(longest) + 1))
}

func (w *world) chance(p float64) bool { return w.rand.Float64() < p }

func (w *world) run() {
	p := w.plan
	w.say("%+v", p)
	for i := range p.pods {
		w.pods = append(w.pods, newPod(w, i))
	}
	for shard := range p.shards {
		w.in(w.some(20*time.Second), func() { w.pods[w.rand.IntN(len(w.pods))].join(shard) })
	}
	if p.die > 0 {
		w.in(w.some(time.Minute), w.kill)
	}
	if p.flush {
		w.in(w.some(time.Minute), w.flush)
	}
	if p.update {
		w.in(w.some(time.Minute), func() {
			w.pods[0].step(pod.Update{Op: new(pod.Op), Limit: wire.Report{SessionStartLimit: gatewayqueue.SessionStartLimit{
				Total: 1000, Remaining: 500, ResetAfter: time.Hour, MaxConcurrency: 1 << w.rand.IntN(4),
			}}})
			w.reach(Rebucketed)
		})
	}
	for len(w.next) > 0 && len(w.verdict.Broken) == 0 {
		h := heap.Pop(&w.next).(happening)
		if h.at.Sub(begin) > lasts {
			break
		}
		w.now = h.at
		h.do()
	}
	if len(w.verdict.Broken) == 0 {
		w.judgeEnd()
	}
}

// identify is an IDENTIFY that leaves now.
func (w *world) identify(p *simPod, c *caller, buckets int) {
	w.verdict.Identifies++
	bucket := c.Shard % buckets
	if last, before := w.last[bucket]; before && w.now.Sub(last) < gatewayqueue.IdentifyDelay && !w.plan.update {
		w.broken("shard %d identifies in bucket %d only %v after another", c.Shard, bucket, w.now.Sub(last))
	}
	w.last[bucket] = w.now
	c.done = true
	w.say("%s: shard %d identifies", p.name, c.Shard)
	if w.verdict.Identifies > w.plan.total {
		w.broken("%d have identified of a total of %d", w.verdict.Identifies, w.plan.total)
	}
}

// judgeEnd looks at who still waits: nobody may be forgotten.
func (w *world) judgeEnd() {
	for _, p := range w.pods {
		for _, c := range p.callers {
			if !p.dead && !c.done && !c.gone && w.verdict.Reached[BudgetUsedUp] == 0 {
				w.broken("shard %d of %s still waits after %v", c.Shard, p.name, lasts)
			}
		}
	}
}

// kill ends a pod, at once and for good.
func (w *world) kill() {
	p := w.pods[w.rand.IntN(len(w.pods))]
	if len(w.pods) == 1 || !w.chance(w.plan.die) {
		return
	}
	w.say("%s dies", p.name)
	for _, c := range p.callers {
		switch {
		case c.permit != nil && !c.done:
			w.reach(PodDiedPermit)
		case !c.done:
			w.reach(PodDied)
		}
	}
	p.dead = true
}

// flush loses the server's state.
func (w *world) flush() {
	w.say("the state is lost")
	w.reach(StateLost)
	for _, p := range w.pods {
		for _, c := range p.callers {
			if c.permit != nil && !c.done && !p.dead {
				w.reach(LostWithPermit)
			}
		}
	}
	w.server.FlushAll()
	w.server.ForgetScripts()
}

// execute runs a call on the server, now.
func (w *world) execute(s pod.Send) (any, error) {
	w.server.Now = w.now
	w.verdict.Calls++
	call := s.Request.Encode(keys)
	if s.Whole {
		return w.server.Eval(call.Script.Source, call.Keys, call.Args)
	}
	raw, err := w.server.EvalSha(call.Script.Hash, call.Script.Source, call.Keys, call.Args)
	if _, claim := s.Request.(wire.Claim); wire.NoScript(err) && !claim {
		return w.server.Eval(call.Script.Source, call.Keys, call.Args)
	}
	return raw, err
}

var keys = wire.KeysOf("sim")

var errLost = errors.New("EOF")

// simPod is a pod and its callers.
type simPod struct {
	world   *world
	name    string
	pod     *pod.Pod
	config  *pod.Config
	dead    bool
	callers []*caller
	wakeAt  time.Time
}

// caller is one call of Wait or Acquire.
type caller struct {
	pod.Waiter
	permit *pod.Permit
	life   pod.Lifetime
	done   bool // it has identified, or given its permit back
	gone   bool // it has left, or was refused
}

func newPod(w *world, n int) *simPod {
	name := fmt.Sprintf("pod-%d", n)
	limit := gatewayqueue.SessionStartLimit{Total: w.plan.total, Remaining: w.plan.total, MaxConcurrency: w.plan.buckets}
	epochs := 0
	p := &simPod{world: w, name: name}
	p.config = &pod.Config{
		Timing: pod.Timing{
			Window: gatewayqueue.IdentifyDelay, Margin: gatewayqueue.GrantMargin, PermitMargin: gatewayqueue.IdentifiedMargin,
			PermitLease: 2 * gatewayqueue.IdentifyDelay, PodLease: 3 * time.Second,
		},
		Name: name, App: "sim", Keys: keys, Limit: limit, LimitAt: begin, Refresh: 10 * time.Minute, Breaker: 20,
		Reserve: pod.Reserve{Units: -1, Floor: func() int { return 0 }},
		Random:  w.rand.Float64,
		NewEpoch: func() string {
			epochs++
			return fmt.Sprintf("%s-%d", name, epochs)
		},
		Advise: func(err error) error { return err },
	}
	p.pod = pod.New(p.config)
	return p
}

func (p *simPod) step(e pod.Event) {
	if p.dead {
		return
	}
	for _, command := range p.pod.Step(elapsed.At(p.world.now), e) {
		p.do(command)
	}
	next := p.pod.Next()
	if !next.Equal(p.wakeAt) {
		p.wakeAt = next
		p.world.in(max(0, next.Sub(p.world.now)), func() {
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
	case pod.Granted:
		c.Waiter.Owner.(*caller).granted(p, c.Grant)
	case pod.Refused:
		c.Waiter.Owner.(*caller).gone = true
		var exhausted *gatewayqueue.BlockedError
		if errors.As(c.Err, &exhausted) {
			w.say("%s: shard %d is refused: %v", p.name, c.Waiter.Shard, c.Err)
		}
	case pod.Done:
		if then, ok := c.Op.Owner.(func(error)); ok {
			then(c.Err)
		}
	case pod.Good:
		for _, caller := range p.callers {
			if caller.permit == c.Permit {
				caller.life = c.Life
			}
		}
		if c.Permit.Owner == nil {
			life := c.Life
			c.Permit.Owner = &life
		}
	case pod.Observe:
		if b, ok := c.Event.Err.(*gatewayqueue.BlockedError); ok && b.Reason == gatewayqueue.ReasonBudget { //nolint:errorlint // As the pod makes it.
			w.reach(BudgetUsedUp)
		}
	case pod.Log:
		w.say("%s: %s", p.name, strings.ToLower(c.Text))
	}
}

// travel sends a call to the server and its answer back.
func (p *simPod) travel(s pod.Send) {
	w := p.world
	sent := elapsed.At(w.now)
	answer := func(raw any, err error) {
		p.step(pod.Answered{To: s, Raw: raw, Err: err, Sent: sent})
	}
	if w.chance(w.plan.lose / 2) {
		w.in(w.some(3*time.Second), func() { answer(nil, errLost) })
		return
	}
	w.in(w.some(w.plan.slow), func() {
		raw, err := w.execute(s)
		if w.chance(w.plan.twice) {
			w.in(w.some(30*time.Second), func() {
				w.reach(LateCopyRan)
				_, _ = w.execute(s)
			})
		}
		if w.chance(w.plan.lose / 2) {
			w.reach(ReplyLost)
			w.in(w.some(3*time.Second), func() { answer(nil, io.EOF) })
			return
		}
		w.in(w.some(w.plan.slow), func() { answer(raw, err) })
	})
}

func (p *simPod) join(shard int) {
	w := p.world
	if p.dead {
		return
	}
	c := &caller{}
	c.Waiter = pod.Waiter{Shard: shard, Permit: w.chance(w.plan.permits), Since: w.now, Owner: c}
	p.callers = append(p.callers, c)
	p.step(pod.Join{Waiter: &c.Waiter})
	if w.chance(w.plan.leave) {
		w.in(w.some(30*time.Second), func() {
			if !c.done && !c.gone && c.permit == nil {
				w.reach(LeftClaiming)
				c.gone = true
				p.step(pod.Leave{Waiter: &c.Waiter})
			}
		})
	}
}

// granted is a caller that hears of its grant, and wakes up to it.
func (c *caller) granted(p *simPod, g pod.Grant) {
	w := p.world
	wakes := w.some(2 * time.Millisecond)
	if w.chance(w.plan.stall) {
		wakes = w.some(time.Second)
	}
	buckets := w.plan.buckets
	w.in(wakes, func() {
		after := g.Sent.Until(elapsed.At(w.now))
		switch {
		case p.dead || c.gone:
		case p.config.IsLate(g, after):
			w.reach(GrantLate)
			p.step(pod.Late{Waiter: &c.Waiter, After: after})
		case g.Permit == nil:
			p.step(pod.Taken{Waiter: &c.Waiter, After: after})
			w.identify(p, c, buckets)
		default:
			p.step(pod.Taken{Waiter: &c.Waiter, After: after})
			c.permit, c.life = g.Permit, *g.Permit.Owner.(*pod.Lifetime)
			w.in(w.some(8*time.Second), func() { c.dialled(p, buckets) })
		}
	})
}

// dialled is a caller with a permit whose connection is open: it announces, and sends
// IDENTIFY if it may.
func (c *caller) dialled(p *simPod, buckets int) {
	w := p.world
	abandon := func() {
		c.done = true
		p.step(pod.Settle{Op: new(pod.Op), Permit: c.permit})
	}
	if w.chance(0.1) {
		abandon()
		return
	}
	op := new(pod.Op)
	op.Owner = func(err error) {
		now := elapsed.At(w.now)
		if p.dead {
			return
		}
		if err != nil || op.Leaves != nil && op.Leaves.Left(now) < 0 || !w.now.Before(c.life.Deadline(now)) {
			abandon()
			return
		}
		w.identify(p, c, buckets)
		p.step(pod.Settle{Op: new(pod.Op), Permit: c.permit, Identified: true})
	}
	p.step(pod.Announce{Op: op, Permit: c.permit})
}
