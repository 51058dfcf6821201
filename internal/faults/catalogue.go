package faults

// The catalogue of all faults, and those of pods and limits.

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// fault is one thing that goes wrong. do returns when it is over.
type fault struct {
	do       func(r *run, random *rand.Rand, length time.Duration)
	servers  string // what it is for: words, the first is where it is tried alone
	anywhere bool   // it is for all of them

	needsAOF, needsNoAOF, needsSource, needsReplicas bool

	loses     bool // state may get lost: some grants, and so some units, are known to nobody
	uncounted bool // units are spent that no pod spends, or figures are given by hand: what is granted in that moment is not in them
	once      bool // at most once in a run
}

var catalogue map[string]fault

func init() { // not in the declaration: do refers to it
	catalogue = make(map[string]fault)
	for _, some := range []map[string]fault{podFaults, budgetFaults, lineFaults, linkFaults, serverFaults, sentinelFaults, clusterFaults, pairFaults, httpFaults} {
		for name, f := range some {
			if f.loses || f.uncounted {
				do := f.do
				f.do = func(r *run, random *rand.Rand, length time.Duration) {
					r.lost.Store(true)
					do(r, random, length)
				}
			}
			catalogue[name] = f
		}
	}
}

var podFaults = map[string]fault{
	"pod killed":     {do: killPod, servers: "server pair http", anywhere: true},
	"pods killed":    {do: killPods, servers: "server pair http", anywhere: true, needsSource: true},
	"pod paused":     {do: pausePod, servers: "server pair http", anywhere: true},
	"pods paused":    {do: pausePods, servers: "server pair http", anywhere: true},
	"pods replaced":  {do: replacePods, servers: "server pair http", anywhere: true},
	"pod closed":     {do: closePod, servers: "server pair http", anywhere: true},
	"clocks moved":   {do: moveClocks, servers: "server pair http", anywhere: true},
	"suspended":      {do: suspend, servers: "server pair http", anywhere: true},
	"limits changed": {do: changeLimits, servers: "server pair sentinel cluster", needsSource: true, uncounted: true},
	"nothing":        {do: func(_ *run, _ *rand.Rand, length time.Duration) { time.Sleep(length) }, servers: "server pair http", anywhere: true},
}

func (r *run) someBerth(random *rand.Rand) *berth {
	return r.fleet.berths[random.IntN(len(r.fleet.berths))]
}

// died notes what a killed pod may have held: a grant in each bucket, and what
// it was giving back.
func (r *run) died() {
	most := 0
	for _, d := range r.discords {
		for _, mc := range d.used() {
			most = max(most, mc)
		}
	}
	r.explained.Add(int64(2 * most))
}

func (r *run) kill(b *berth, down time.Duration) {
	b.busy.Lock()
	defer b.busy.Unlock()
	r.died()
	b.kill()
	time.Sleep(down)
	r.fleet.launch(b)
}

func killPod(r *run, random *rand.Rand, length time.Duration) { r.kill(r.someBerth(random), length/2) }

func killPods(r *run, _ *rand.Rand, length time.Duration) {
	var all sync.WaitGroup
	for _, b := range r.fleet.berths {
		all.Go(func() { r.kill(b, length/4) })
	}
	all.Wait()
}

// pausePod stops a pod for longer than its lease and the window, as a rule.
func pausePod(r *run, random *rand.Rand, length time.Duration) {
	r.pause(r.someBerth(random), length+r.plan.PodLease/2)
}

func (r *run) pause(b *berth, length time.Duration) {
	b.busy.Lock()
	defer b.busy.Unlock()
	p := b.current()
	pause(p.cmd.Process)
	time.Sleep(length)
	resume(p.cmd.Process)
}

func pausePods(r *run, random *rand.Rand, length time.Duration) {
	var all sync.WaitGroup
	for _, b := range r.fleet.berths {
		d := time.Duration(random.Float64() * float64(length))
		all.Go(func() { r.pause(b, d) })
	}
	all.Wait()
}

// replacePods starts and stops pods all the time, as a deployment does.
func replacePods(r *run, random *rand.Rand, length time.Duration) {
	for end := time.Now().Add(length); time.Now().Before(end); {
		b := r.someBerth(random)
		b.busy.Lock()
		if b.stop(5 * time.Second) {
			r.died()
		}
		r.fleet.launch(b)
		b.busy.Unlock()
		time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
	}
}

// closePod closes a pod's queue under its callers, and then ends it.
func closePod(r *run, random *rand.Rand, length time.Duration) {
	b := r.someBerth(random)
	b.busy.Lock()
	defer b.busy.Unlock()
	b.order("close")
	time.Sleep(length / 4)
	if b.stop(5 * time.Second) {
		r.died()
	}
	r.fleet.launch(b)
}

// moveClocks moves wall clocks of pods, by a few seconds or by up to two days,
// forth and back. They stay where they are when it is over.
func moveClocks(r *run, random *rand.Rand, length time.Duration) {
	for end := time.Now().Add(length); time.Now().Before(end); {
		far := []time.Duration{5 * time.Second, 48 * time.Hour}[random.IntN(2)]
		by := time.Duration(float64(far) * (2*random.Float64() - 1)).Truncate(time.Second)
		r.someBerth(random).order("clock " + by.String())
		time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
	}
}

// suspend lets pods believe, at any moment, that their machine has just slept: what they
// hold may be too old then, and no unit may get lost over that.
func suspend(r *run, random *rand.Rand, length time.Duration) {
	for end := time.Now().Add(length); time.Now().Before(end); {
		r.someBerth(random).order("suspended " + upTo(random, 4*r.plan.Window).String())
		time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
	}
}

// changeLimits lets some pods at once write new limits, a part of them with
// a max_concurrency that has grown old.
func changeLimits(r *run, random *rand.Rand, length time.Duration) {
	d := r.someDiscord(random)
	berths := slices.DeleteFunc(slices.Clone(r.fleet.berths), func(b *berth) bool { return b.discord != d })
	some := func() *berth { return berths[random.IntN(len(berths))] }
	for end := time.Now().Add(length); ; {
		old := d.report()
		d.change(1 + random.IntN(5))
		now := d.report()
		for range 1 + random.IntN(len(berths)) {
			limit := now
			if random.IntN(3) == 0 {
				limit.MaxConcurrency = old.MaxConcurrency
			}
			r.orderLimit(some(), limit)
		}
		if time.Now().After(end) {
			break
		}
		time.Sleep(time.Duration(random.IntN(700)) * time.Millisecond)
	}
	r.orderLimit(some(), d.report())
}

func (r *run) orderLimit(b *berth, limit gatewayqueue.SessionStartLimit) {
	text, err := json.Marshal(limit)
	if err != nil {
		panic(err)
	}
	b.order(fmt.Sprintf("read %d\nlimit %s", clock()-readTime, text))
}
