package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// plan is all that is decided before a run: everything else follows from it, so that a
// run without some of it goes on as before where that is not missed. Each run draws its
// own subset of faults.
type plan struct {
	seed uint64
	pods int

	// The bot.
	buckets, total, left int
	resetAfter           time.Duration // of the first period; 0 if none has begun
	source               bool          // pods ask Discord
	counted              time.Duration // after which an IDENTIFY is in Discord's figures
	backoff              int
	failExhausted        bool
	permitLease          time.Duration

	// Redis.
	blind    bool // servers do not tell scripts who they are
	copied   bool // scripts are known to replicas
	replicas int  // that must acknowledge a grant

	// The way to it.
	slow        time.Duration
	far         time.Duration // how long a call takes at most, each way, while a pod is slow
	lose, twice float64
	late        time.Duration // after which a copy of a call comes at most

	callers []callerPlan
	faults  []fault
}

// callerPlan is one shard that comes up: it waits, and sends IDENTIFY.
type callerPlan struct {
	id         int
	at         time.Duration
	pod, shard int
	permit     bool
	announces  bool
	dial       time.Duration
	abandons   bool
	leave      time.Duration // it leaves if it was not granted by then; 0 for never
	regrets    bool          // it leaves in the moment of its grant
	deadline   time.Duration // of its context; 0 for none
	wakes      time.Duration // how long it takes to wake up to its grant
	leaves     time.Duration // between the look at its permit and IDENTIFY
	again      time.Duration // it identifies once more so long after; 0 for never
}

const (
	faultsUntil = 100 * time.Second // no fault begins later
	startsUntil = 60 * time.Second  // nor does a caller
)

// newPlan draws a plan.
func newPlan(seed uint64) *plan {
	r := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // It decides a schedule.
	some := func(d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d) + 1)) }
	maybe := func(n int) bool { return r.IntN(n) == 0 }
	swarm := func(p float64) float64 { // half of the runs are without it
		if maybe(2) {
			return 0
		}
		return p * r.Float64()
	}
	p := &plan{
		seed: seed, pods: 1 + r.IntN(4), buckets: 1 << r.IntN(3), total: 1000, slow: time.Duration(1+r.IntN(40)) * time.Millisecond,
		lose: swarm(0.2), twice: swarm(0.2), late: 50 * time.Second, source: maybe(3), blind: maybe(6), copied: maybe(2),
		failExhausted: maybe(10),
	}
	if maybe(4) {
		p.slow = time.Duration(1+r.IntN(300)) * time.Millisecond
	}
	if p.blind {
		p.copied = false // else there is no sign at all of another server, see docs/reliability.md
	}
	if maybe(5) {
		p.replicas = 1
	}
	if maybe(8) {
		p.backoff = 1 + r.IntN(3)
	}
	if p.source {
		p.counted = some(900 * time.Millisecond)
	}
	shards := 2 + r.IntN(16)
	permits, leave, stall, deadline, again := r.Float64(), swarm(0.4), swarm(0.3), swarm(0.2), swarm(0.6)
	for shard := range shards {
		c := callerPlan{
			id: shard, at: some(startsUntil / time.Duration(1+r.IntN(6))), pod: r.IntN(p.pods), shard: shard, permit: r.Float64() < permits, announces: !maybe(3),
			dial: some(300 * time.Millisecond), abandons: maybe(10), regrets: maybe(15), wakes: some(2 * time.Millisecond), leaves: some(time.Millisecond),
		}
		if maybe(4) {
			c.dial = some(12 * time.Second)
		}
		if r.Float64() < leave {
			c.leave = some(30 * time.Second)
		}
		if r.Float64() < deadline {
			c.deadline = some(time.Minute)
		}
		if r.Float64() < stall {
			c.wakes, c.leaves = some(time.Second), some(60*time.Millisecond)
		}
		if r.Float64() < again {
			c.again = some(30 * time.Second)
		}
		p.callers = append(p.callers, c)
	}
	p.left = p.total
	switch r.IntN(4) {
	case 0: // too little for all
		p.total = max(4, shards+r.IntN(6)-2)
		p.left = p.total
	case 1: // the first period has begun, and ends in the run
		p.total = max(6, shards+4)
		p.left = r.IntN(p.total)
		p.resetAfter = 10*time.Second + some(90*time.Second)
	}
	p.far, p.permitLease = time.Second, 2*gatewayqueue.IdentifyDelay
	if maybe(8) {
		p.permitLease += some(time.Minute)
	}
	p.drawFaults(r)
	if maybe(2) {
		themes[r.IntN(len(themes))](p, r)
	}
	return p
}

// drawFaults draws which kinds there are, and when they come.
func (p *plan) drawFaults(r *rand.Rand) {
	if r.IntN(5) == 0 {
		return
	}
	few := 1 + r.IntN(9) // one in so many kinds
	for _, k := range kinds {
		if r.IntN(1+few) > 0 || k.may != nil && !k.may(p) {
			continue
		}
		for range 1 + r.IntN(2) {
			p.faults = append(p.faults, p.drawFault(r, k.name))
		}
	}
}

func (p *plan) drawFault(r *rand.Rand, name string) fault {
	k := kindOf(name)
	return fault{kind: name, at: some(r, faultsUntil), lasts: some(r, k.longest), pod: r.IntN(p.pods), seed: r.Uint64()}
}

func (p *plan) has(kinds ...string) bool {
	return slices.ContainsFunc(p.faults, func(f fault) bool { return slices.Contains(kinds, f.kind) })
}

// limit is Discord's at the start.
func (p *plan) limit() gatewayqueue.SessionStartLimit {
	return gatewayqueue.SessionStartLimit{Total: p.total, Remaining: p.left, ResetAfter: p.resetAfter, MaxConcurrency: p.buckets}
}

func (p *plan) String() string {
	kinds := make([]string, len(p.faults))
	for i, f := range p.faults {
		kinds[i] = f.kind
	}
	return fmt.Sprintf("%d pods, %d callers, %d buckets, %d of %d units left, first reset after %v, source %v, replicas %d, blind %v; calls take up to %v, lost %.2f, twice %.2f; faults %v",
		p.pods, len(p.callers), p.buckets, p.left, p.total, p.resetAfter, p.source, p.replicas, p.blind, p.slow, p.lose, p.twice, kinds)
}
