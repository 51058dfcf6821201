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
	Servers string           // "server", "sentinel" or "cluster"
	Binary  redistest.Binary // of the servers; the default's, if empty
	Queue   string           // "redis", "naive" or "token"
	AOF     bool
	Source  bool // pods ask Discord for the limits
	Calm    bool // pods behave well
	Once    bool // each shard comes up once

	Pods, Shards      int
	Limit             gatewayqueue.SessionStartLimit
	Reserve           int
	Waits             float64 // the part of the grants that are asked for with Wait
	Window, PodLease  time.Duration
	Refresh           time.Duration // of the limit source
	ReadTimeout       time.Duration
	LoseRequests      float64 // from start to end
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
	return fmt.Sprintf("seed %d: %d shards on %d pods, max_concurrency %d, %d of %d for %v, %s, aof %v, source %v, waits %.1f, read timeout %v: %s",
		p.Seed, p.Shards, p.Pods, p.Limit.MaxConcurrency, p.Limit.Remaining, p.Limit.Total, p.Limit.ResetAfter,
		p.Servers, p.AOF, p.Source, p.Waits, p.ReadTimeout, strings.Join(faults, " "))
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
	p.Servers, p.AOF, p.Source = f.servers, f.needsAOF, true
	p.Faults = []scheduled{{Name: name, At: 1800 * time.Millisecond, For: length, Seed: seed}}
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

// random is a plan drawn from a seed.
func random(seed uint64) plan {
	r := rand.New(rand.NewPCG(seed, 20))
	p := quiet(seed)
	p.Servers = "server"
	switch r.IntN(20) { // they take 2 s to start
	case 0:
		p.Servers = "sentinel"
	case 1:
		p.Servers = "cluster"
	}
	p.Pods = 3 + r.IntN(3)
	p.Limit.MaxConcurrency = 1 + r.IntN(4)
	p.Shards = p.Limit.MaxConcurrency*(3+r.IntN(3)) + r.IntN(2)
	p.AOF, p.Source = r.IntN(2) == 0, r.IntN(3) > 0
	if r.IntN(2) == 0 {
		p.Refresh = time.Second
	}
	p.Waits = float64(r.IntN(5)) / 4
	p.ReadTimeout = []time.Duration{150, 300, 600, 1000}[r.IntN(4)] * time.Millisecond
	if r.IntN(5) == 0 { // a budget that ends, and a period that begins soon
		p.Limit.Total, p.Limit.Remaining, p.Limit.ResetAfter = 400, p.Reserve+r.IntN(p.Shards), time.Duration(2000+r.IntN(3000))*time.Millisecond
		p.Source = true
	}
	if r.IntN(6) == 0 {
		p.LoseRequests, p.LoseReplies, p.Mute = 0.03*r.Float64(), 0.1*r.Float64(), r.Float64()
	}
	names := slices.Sorted(maps.Keys(catalogue))
	for range 1 + r.IntN(5) {
		name := names[r.IntN(len(names))]
		f := catalogue[name]
		if f.servers != p.Servers && !(f.anywhere) || p.clashes(name) {
			continue
		}
		if f.needsAOF && !p.AOF || f.needsNoAOF && p.AOF || f.needsSource && !p.Source {
			continue
		}
		length := time.Duration(50+r.IntN(1500)) * time.Millisecond
		if r.IntN(30) == 0 {
			length *= 7
		}
		p.Faults = append(p.Faults, scheduled{
			Name: name, At: time.Duration(r.IntN(2800)) * time.Millisecond, For: length, Seed: r.Uint64(),
		})
	}
	return p
}

// clashes says that the plan has a fault already with which this one would
// break what no queue can keep: with both witnesses of a closed bucket deleted
// by hand, nobody knows that it is closed. Or it takes too long twice.
func (p plan) clashes(name string) bool {
	other := map[string]string{
		"delete slot": "delete opens", "delete opens": "delete slot",
		"failover": "lagging failover", "lagging failover": "failover", // there is one replica
	}
	return slices.ContainsFunc(p.Faults, func(s scheduled) bool {
		return s.Name == other[name] || s.Name == name && catalogue[name].once
	})
}
