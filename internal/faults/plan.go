package faults

// Plans: which faults happen when, in one run. The same seed makes the same
// plan; what then happens within a millisecond it cannot decide.

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// plan is one run before it happens.
type plan struct {
	Seed    uint64
	Servers string           // "server", "sentinel", "cluster", "pair" or "http"
	Binary  redistest.Binary // of the servers; the default's, if empty
	Queue   string           // "redis", "naive" or "token"
	AOF     bool
	Source  bool // pods ask Discord for the limits
	Calm    bool // pods behave well
	Once    bool // each shard comes up once

	Bots     int           // in this Redis; 0 is one
	Period   time.Duration // how long a budget lasts; 0 is a day
	Dial     time.Duration // what a dial takes at least
	Versions bool          // every other pod is of another version of the library
	Replicas int           // a grant must have reached so many
	PoolSize int           // of each pod's connections to Redis; 0 is what go-redis has

	Pods, Shards      int
	Limit             gatewayqueue.SessionStartLimit
	Reserve           int
	Waits             float64 // the part of the grants that are asked for with Wait
	Window, PodLease  time.Duration
	Refresh           time.Duration // of the limit source
	ReadTimeout       time.Duration
	LoseRequests      float64 // from start to end; over HTTP until the faults are over
	LoseReplies, Mute float64
	Faults            []scheduled
}

// scheduled is a fault with its time.
type scheduled struct {
	Name string
	At   time.Duration
	For  time.Duration
	Seed uint64
}

func (s scheduled) String() string {
	return fmt.Sprintf("%s@%d+%d", s.Name, s.At.Milliseconds(), s.For.Milliseconds())
}

func (p plan) String() string {
	var faults []string
	for _, s := range p.Faults {
		faults = append(faults, s.String())
	}
	return fmt.Sprintf("seed %d: %d shards on %d pods, max_concurrency %d, %d of %d for %v, %s, aof %v, source %v, waits %.1f, read timeout %v, bots %d, period %v, reserve %d, versions %v, replicas %d, loses %.1f %% of requests, %.1f %% of replies, %.0f %% of these in silence: %s",
		p.Seed, p.Shards, p.Pods, p.Limit.MaxConcurrency, p.Limit.Remaining, p.Limit.Total, p.Limit.ResetAfter,
		p.Servers, p.AOF, p.Source, p.Waits, p.ReadTimeout, max(1, p.Bots), p.Period, p.Reserve, p.Versions, p.Replicas,
		100*p.LoseRequests, 100*p.LoseReplies, 100*p.Mute, strings.Join(faults, " "))
}

// unbegun lets the first period begin with the first IDENTIFY: without a limit source
// nobody can know when one ends that began before.
func (p *plan) unbegun() { p.Limit.Remaining, p.Limit.ResetAfter = p.Limit.Total, 0 }

// bounded says that waiters wait for no budget.
func (p plan) bounded() bool { return p.Period == 0 && p.Limit.Remaining > 10*p.Shards+p.Reserve }

// fits says if a fault can happen to what the plan has.
func (p plan) fits(f fault) bool {
	switch {
	case !f.anywhere && !slices.Contains(strings.Fields(f.servers), p.Servers):
		return false
	case f.needsAOF && !p.AOF || f.needsNoAOF && p.AOF || f.needsSource && !p.Source:
		return false
	case f.needsReplicas && p.Replicas == 0:
		return false
	}
	return true
}

// quiet is a plan without faults.
func quiet(seed uint64) plan {
	const maxConcurrency = 3
	return plan{
		Seed: seed, Servers: "server", Queue: "redis", Pods: 4, Shards: maxConcurrency * 5,
		Limit:   gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 900, ResetAfter: time.Hour, MaxConcurrency: maxConcurrency},
		Reserve: 10, Waits: 0.4, Window: 400 * time.Millisecond, PodLease: 500 * time.Millisecond, ReadTimeout: 300 * time.Millisecond,
		Refresh: redisqueue.DefaultRefresh,
	}
}

// single is a plan with one fault, early enough that all are at work.
func single(name string, seed uint64, length time.Duration) plan {
	p := quiet(seed)
	f := catalogue[name]
	p.Servers, p.AOF, p.Source = strings.Fields(f.servers)[0], f.needsAOF, true
	if f.needsReplicas {
		p.Replicas = 1
	}
	at := 1800 * time.Millisecond
	if _, ok := budgetFaults[name]; ok {
		p = p.inPeriods(12, 9, 1500*time.Millisecond, 4*time.Second)
		if f.uncounted { // there must be something to spend
			p.Limit.Total, p.Limit.Remaining, p.Reserve = 20, 16, p.Limit.MaxConcurrency
		}
		if p.Source = f.needsSource; !p.Source {
			p.unbegun()
		}
		at, length = 500*time.Millisecond, 4*length
		p.Faults = append(p.Faults, scheduled{Name: "nothing", At: at, For: 8 * time.Second}) // some periods more
	}
	if name == "dead fleet" { // nobody else asks, who would find the dead by chance
		p.Pods, p.Calm, p.Once, at, length = 1, true, true, 100*time.Millisecond, 2*time.Second
	}
	if strings.HasPrefix(name, "forgotten") {
		p.Window = 1200 * time.Millisecond // for the steps of it take some hundred
	}
	p.Faults = append(p.Faults, scheduled{Name: name, At: at, For: length, Seed: seed})
	return p
}

// inPeriods is the plan with a budget that ends and begins again, and no reserve to
// hide behind.
func (p plan) inPeriods(total, remaining int, reset, period time.Duration) plan {
	p.Limit.Total, p.Limit.Remaining, p.Limit.ResetAfter, p.Period = total, remaining, reset, period
	p.Reserve, p.Refresh = 0, time.Second
	return p
}

// core is a plan with one fault of each kind, one after the other, on servers of
// one version.
func core(b redistest.Binary, servers string, seed uint64) plan {
	p := quiet(seed)
	p.Binary, p.Servers, p.AOF, p.Source = b, servers, servers == "server", true
	faults := []string{"replies lost", "server paused", "scripts flushed", "pod killed", "server killed", "limits changed", "flushed"}
	switch servers {
	case "sentinel":
		faults = []string{"pod killed", "failover", "limits changed"}
	case "cluster":
		faults = []string{"pod killed", "resharding", "cluster failover", "limits changed"}
	}
	for i, name := range faults {
		p.Faults = append(p.Faults, scheduled{
			Name: name, At: time.Second + time.Duration(i)*1200*time.Millisecond, For: 600 * time.Millisecond, Seed: seed + uint64(i),
		})
	}
	return p
}

// random is a plan drawn from a seed. Each run has its own subset of all faults, and
// draws from that: so some meet often that would meet seldom among all.
func random(seed uint64) plan {
	r := rand.New(rand.NewPCG(seed, 20))
	p := quiet(seed)
	p.Servers = [20]string{"sentinel", "cluster", "pair", "pair", "pair", "pair", "pair", "http", "http", "http"}[r.IntN(20)]
	if p.Servers == "" {
		p.Servers = "server"
	}
	p.Pods = 3 + r.IntN(3)
	p.Limit.MaxConcurrency = 1 + r.IntN(4)
	p.Shards = p.Limit.MaxConcurrency*(3+r.IntN(3)) + r.IntN(2)
	if r.IntN(15) == 0 { // a large bot
		p.Limit.MaxConcurrency, p.Shards, p.Reserve = 16, 32, 16
	}
	p.AOF, p.Source = p.Servers == "server" && r.IntN(2) == 0, r.IntN(3) > 0
	if r.IntN(2) == 0 {
		p.Refresh = time.Second
	}
	p.Waits = float64(r.IntN(5)) / 4
	p.ReadTimeout = []time.Duration{150, 300, 600, 1000}[r.IntN(4)] * time.Millisecond
	if r.IntN(6) == 0 && (p.Servers == "server" || p.Servers == "pair") {
		p.Bots = 2
	}
	p.Versions = r.IntN(6) == 0
	if r.IntN(6) == 0 {
		p.LoseRequests, p.LoseReplies, p.Mute = 0.03*r.Float64(), 0.1*r.Float64(), r.Float64()
	}
	if p.Servers == "pair" && r.IntN(2) == 0 {
		p.Replicas = 1 + r.IntN(2) // of two
	}
	p.drawBudget(r)
	p.drawFaults(r)
	return p
}

// drawBudget lets a third of the plans have a budget that ends, and periods that begin
// while the faults last.
func (p *plan) drawBudget(r *rand.Rand) {
	if r.IntN(3) > 0 {
		return
	}
	capacity := p.Limit.MaxConcurrency * 9 // identifies in 4 s
	total := capacity/2 + 1 + r.IntN(capacity)
	reset := time.Duration(1000+r.IntN(3000)) * time.Millisecond
	*p = p.inPeriods(total, 1+r.IntN(total), reset, time.Duration(2000+r.IntN(4000))*time.Millisecond)
	if !p.Source {
		p.unbegun()
	}
}

// drawFaults draws up to six faults that fit.
func (p *plan) drawFaults(r *rand.Rand) {
	var mine []string
	for _, name := range slices.Sorted(maps.Keys(catalogue)) {
		if f := catalogue[name]; r.IntN(3) == 0 && p.fits(f) {
			mine = append(mine, name)
		}
	}
	if len(mine) == 0 {
		return
	}
	for range 1 + r.IntN(6) {
		name := mine[r.IntN(len(mine))]
		f := catalogue[name]
		length := time.Duration(50+r.IntN(1500)) * time.Millisecond
		if r.IntN(30) == 0 {
			length *= 7
		}
		at := time.Duration(r.IntN(2800)) * time.Millisecond
		if p.clashes(name) {
			continue
		}
		p.Faults = append(p.Faults, scheduled{Name: name, At: at, For: length, Seed: r.Uint64()})
		if strings.HasPrefix(name, "forgotten") {
			p.Window = 1200 * time.Millisecond
		}
		if f.uncounted && p.Period > 0 { // for what is granted while somebody types
			p.Reserve = max(p.Reserve, p.Limit.MaxConcurrency)
		}
		if f.loses && p.Period > 0 && p.Reserve < 10 { // the reserve is for what nobody knows of
			p.Reserve = 10
			p.Limit.Total += 10
			p.Limit.Remaining += 10
		}
	}
}

// clashes says that the plan has a fault already with which this one cannot be
// staged, or takes too long.
func (p plan) clashes(name string) bool {
	other := map[string]string{
		"failover": "lagging failover", "lagging failover": "failover", // there is one replica
		"partition": "late partition", "late partition": "partition",
	}
	return slices.ContainsFunc(p.Faults, func(s scheduled) bool {
		return s.Name == other[name] || s.Name == name && catalogue[name].once
	})
}
