// Package simulation runs a fleet that no machine can hold, for a day that
// nobody can wait for: real pods (redisqueue), their scripts and a real
// redis-server, but in virtual time. It lives in a testing/synctest bubble: a
// goroutine that waits for Redis stops the bubble's clock, so that a call takes
// no time at all, and the clock leaps once everybody sleeps. The server's clock
// follows.
package simulation

// What is simulated.

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// Spec is a fleet and what becomes of it. All that is random in it follows from
// Seed, except which of two that come in the same instant is the first.
type Spec struct {
	Shards, MaxConcurrency, Pods int  // each pod has a block of neighbouring shards
	Wait                         bool // with the connection open; otherwise Acquire, and a dial under the permit
	Budget                       int  // identifies a day
	Seed                         uint64

	// Pods start at multiples of Step, so that calls of several come together:
	// that takes less real time.
	Step time.Duration

	// Life is how long the fleet lives, from its start; 0 is until it is up.
	Life       time.Duration
	Reconnects float64       // fresh identifies of each shard in a day, at random
	Crashes    int           // of one pod, at random, a fifth while the fleet comes up; a new one takes its place
	Restart    time.Duration // when all pods crash at once; 0 is never
}

// What is the same for all.
const (
	PodsStart   = 5 * time.Second        // pods start over this time
	Replacement = 10 * time.Second       // until a new pod takes the place of one that crashed
	DialMedian  = 150 * time.Millisecond // of a log-normal distribution
	DialSigma   = 0.5
)

// Full are the fleets of the published figures.
func Full() []Spec {
	large := Spec{Shards: 65_536, MaxConcurrency: 256, Pods: 1000, Step: 100 * time.Millisecond}
	usual := Spec{Shards: 16_384, MaxConcurrency: 64, Pods: 128}
	waits := usual
	waits.Wait = true
	days := Spec{Shards: 8192, MaxConcurrency: 64, Pods: 128}
	return seeded(large, usual, waits, dayOf(days, 50), shortOf(Spec{Shards: 1024, MaxConcurrency: 64, Pods: 64}))
}

// Quick are small ones of the same kinds, to see that everything works.
func Quick() []Spec {
	small := Spec{Shards: 128, MaxConcurrency: 16, Pods: 8}
	waits := small
	waits.Wait = true
	return seeded(small, waits, dayOf(small, 10), shortOf(small))
}

// dayOf is a fleet's first day and some of its second.
func dayOf(s Spec, crashes int) Spec {
	const day = gatewayqueue.LimitPeriod
	s.Life, s.Reconnects, s.Crashes, s.Restart = day+time.Hour, 1, crashes, day/2
	return s
}

// shortOf is a day whose budget is not enough for the restart near its end: some
// have to wait for the next day.
func shortOf(s Spec) Spec {
	s = dayOf(s, s.Pods)
	s.Budget = s.Shards * 5 / 2
	s.Restart = gatewayqueue.LimitPeriod - 20*time.Minute
	return s
}

func seeded(specs ...Spec) []Spec {
	for i := range specs {
		s := &specs[i]
		s.Seed = uint64(i + 1)
		if s.Budget == 0 {
			s.Budget = max(2000, 5*s.Shards) // Discord's, for 1,000 guilds a shard
		}
	}
	return specs
}

func (s Spec) limit() gatewayqueue.SessionStartLimit {
	return gatewayqueue.SessionStartLimit{Total: s.Budget, Remaining: s.Budget, MaxConcurrency: s.MaxConcurrency}
}

// block are the shards of a pod: from the first up to, but not with, the end.
func (s Spec) block(pod int) (first, end int) {
	return pod * s.Shards / s.Pods, (pod + 1) * s.Shards / s.Pods
}

// What random numbers are for.
const (
	ofShard = iota
	ofPod
	ofFleet
)

// random is the same for the nth life of the ith shard or pod, in whatever order
// they ask.
func (s Spec) random(what, i, life int) *rand.Rand {
	return rand.New(rand.NewPCG(s.Seed, uint64(what)<<56|uint64(life)<<32|uint64(i)))
}

// spread is how long after the first a pod starts.
func (s Spec) spread(pod, life int) time.Duration {
	return time.Duration(s.random(ofPod, pod, life).Int64N(int64(PodsStart))).Truncate(s.Step)
}

func dial(r *rand.Rand) time.Duration {
	return time.Duration(float64(DialMedian) * math.Exp(DialSigma*r.NormFloat64()))
}

// calm is for how long a shard stays connected.
func (s Spec) calm(r *rand.Rand) time.Duration {
	return time.Duration(r.ExpFloat64() / s.Reconnects * float64(gatewayqueue.LimitPeriod))
}

// climb is about how long the whole fleet takes to come up.
func (s Spec) climb() time.Duration {
	return time.Duration(s.Shards/s.MaxConcurrency) * gatewayqueue.IdentifyDelay
}

// event is the crash of a pod.
type event struct {
	at  time.Duration
	pod int
}

// everyPod crashes at once in a restart.
const everyPod = -1

// fate is what will happen, in order.
func (s Spec) fate() []event {
	r := s.random(ofFleet, 0, 0)
	var all []event
	for i := range s.Crashes {
		at := time.Duration(r.Int64N(int64(s.Life)))
		if i%5 == 0 { // while the fleet comes up, by turns for the first time and again
			at = s.Restart*time.Duration(i/5%2) + Replacement + at%s.climb()
		}
		all = append(all, event{at, r.IntN(s.Pods)})
	}
	if s.Restart > 0 {
		all = append(all, event{s.Restart, everyPod})
	}
	slices.SortFunc(all, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	return all
}
