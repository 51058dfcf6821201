package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/wire"
)

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
	plan       *plan
	mutant     *Mutant // nil for none
	telling    bool
	now        time.Time
	next       agenda
	planned    int
	redis      *redisServer
	discord    *discord
	pods       []*simPod // by their number in the plan: those that live now, or lived last
	all        []*simPod
	quietAt    time.Time // from when on nothing fails any more
	usedUp     bool      // a pod was told so after that
	backingOff bool      // a shard was told to back off
	verdict    Verdict
}

var (
	begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	keys  = wire.KeysOf("sim")
)

const prefix = "identify:{sim}:"

// calm is for how long a run goes on once nothing fails any more: every waiter must be
// granted by then, after every hold, lease, dial and late copy.
func (p *plan) calm() time.Duration {
	all := 75*time.Second + 3*p.permitLease + 4*p.far + time.Duration(3*len(p.callers))*(6*time.Second+3*p.slow)
	for _, c := range p.callers {
		all += 3 * c.dial
	}
	return all
}

// run runs a plan, with a script broken if a mutant is given.
func (p *plan) run(m *Mutant, telling bool) Verdict {
	w := &world{plan: p, mutant: m, telling: telling, now: begin, verdict: Verdict{Seed: p.seed, Reached: make(map[Point]int)}}
	w.redis, w.discord = newRedis(w), newDiscord(w)
	w.tell("%v", p)
	for i := range p.pods {
		w.pods = append(w.pods, newPod(w, i))
	}
	quiet := startsUntil
	for _, f := range p.faults {
		quiet = max(quiet, f.at+f.lasts+f.tail())
		w.in(f.at, func() { w.strike(f) })
	}
	w.quietAt = begin.Add(quiet)
	for _, c := range p.callers {
		w.in(c.at, func() { w.join(c, 0) })
	}
	for end := w.quietAt.Add(p.calm()); len(w.next) > 0 && w.verdict.Broken == ""; {
		h := heap.Pop(&w.next).(happening)
		if h.at.After(end) {
			break
		}
		w.now = h.at
		h.do()
	}
	w.verdict.Simulated = w.now.Sub(begin)
	if w.verdict.Broken == "" {
		w.judgeEnd()
	}
	return w.verdict
}

func (w *world) since() time.Duration { return w.now.Sub(begin) }

// tell adds a line to the story.
func (w *world) tell(format string, args ...any) {
	if w.telling {
		w.verdict.Story = append(w.verdict.Story, fmt.Sprintf("%9.4f ", w.since().Seconds())+fmt.Sprintf(format, args...))
	}
}

func (w *world) reach(p Point) { w.verdict.Reached[p]++ }

// broken ends the run: a rule was broken.
func (w *world) broken(rule, format string, args ...any) {
	if w.verdict.Broken == "" {
		w.verdict.Broken, w.verdict.How = rule, fmt.Sprintf(format, args...)
		w.tell("BROKEN: %s: %s", rule, w.verdict.How)
	}
}

func (w *world) in(d time.Duration, do func()) {
	w.planned++
	heap.Push(&w.next, happening{w.now.Add(d), w.planned, do})
}

// random is a source of its own for something that the plan has a number for.
func (w *world) random(kind, n uint64) *rand.Rand {
	return rand.New(rand.NewPCG(w.plan.seed, kind<<32+n)) //nolint:gosec // It decides a schedule.
}

func some(r *rand.Rand, longest time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(longest) + 1))
}

// permits are the callers that hold one.
func (w *world) permits() (held []*caller) {
	for _, p := range w.all {
		for _, c := range p.callers {
			if c.permit != nil && !c.over() && !p.dead {
				held = append(held, c)
			}
		}
	}
	return held
}

func (w *world) waiting() bool {
	for _, p := range w.all {
		for _, c := range p.callers {
			if c.permit == nil && !c.over() && !p.dead {
				return true
			}
		}
	}
	return false
}
