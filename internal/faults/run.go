package faults

// One run: servers, a fleet, faults, and the verdict.

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

const (
	resumeLimit = 30 * time.Second // for the first grant after the faults; generous, as machines may be busy
	serveLimit  = 60 * time.Second // for all shards then
	keyPrefix   = "identify:{default}:"
)

// run is what faults act on.
type run struct {
	t       testing.TB
	plan    plan
	dir     string
	fleet   *fleet
	discord *discord
	admin   redis.UniversalClient // straight to the server

	server   *redistest.Server // the one, nil with Sentinels or a Cluster
	sentinel *redistest.Sentinel
	cluster  *redistest.Cluster
	busy     sync.Mutex // held while a fault acts on a server

	explained atomic.Int64 // units that faults may have cost
	lost      atomic.Bool  // state may have been lost: units are not known

	mu  sync.Mutex
	log []string
}

// note writes what happens into the run's log.
func (r *run) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, fmt.Sprintf("%12d %s", clock(), fmt.Sprintf(format, args...)))
}

// execute runs the plan and returns the verdict. dir takes the logs.
func execute(t testing.TB, p plan, dir string) verdict { return executeAfter(t, p, dir, func(*run) {}) }

// executeAfter is execute, with something to do before the pods start.
func executeAfter(t testing.TB, p plan, dir string, before func(*run)) verdict {
	t.Helper()
	r := &run{t: t, plan: p, dir: dir, discord: newDiscord(p.Limit)}
	servers := r.startServers()
	office := httptest.NewServer(r.discord)
	t.Cleanup(office.Close)
	r.fleet = newFleet(t, dir, func(e event) {
		switch {
		case e.kind == "identify":
			r.discord.identified(e.at)
		case e.kind == "closed" && e.text == "untold": // it ended while Redis was away
			r.died()
		}
	})
	r.hire(servers, office.URL)
	before(r)
	for _, b := range r.fleet.berths {
		r.fleet.launch(b)
	}

	var faults sync.WaitGroup
	for _, s := range p.Faults {
		faults.Go(func() {
			time.Sleep(s.At)
			r.note("fault %s", s)
			random := rand.New(rand.NewPCG(s.Seed, s.Seed))
			catalogue[s.Name].do(r, random, s.For)
			r.note("fault %s is over", s)
		})
	}
	faults.Wait()
	end := clock()
	resumed := r.await(resumeLimit, func() (time.Duration, bool) { return r.firstAfter(end) }) - end
	r.fleet.drain()
	r.await(serveLimit, func() (time.Duration, bool) { return 0, len(r.fleet.unserved()) == 0 })
	r.note("draining is over")
	r.fleet.end(10 * time.Second)
	return r.judge(resumed)
}

// startServers starts what the plan wants and says where pods find it.
func (r *run) startServers() addresses {
	b := r.plan.Binary
	if b.Path == "" {
		b = redistest.Default(r.t)
	}
	switch r.plan.Servers {
	case "sentinel":
		r.sentinel = b.StartSentinel(r.t, 1)
		r.admin = r.sentinel.Client(r.t)
		return addresses{"sentinel", r.sentinel.Addrs}
	case "cluster":
		r.cluster = b.StartCluster(r.t, 3, 1)
		r.admin = r.cluster.Client(r.t, func(o *redis.ClusterOptions) { o.ClusterStateReloadInterval = time.Second })
		return addresses{"cluster", r.cluster.Addrs}
	}
	var args []string
	if r.plan.AOF {
		args = []string{"--appendonly", "yes", "--appendfsync", "everysec"}
	}
	r.server = b.Start(r.t, args...)
	r.admin = r.server.Client(r.t)
	return addresses{"server", []string{r.server.Addr}}
}

// hire makes the berths.
func (r *run) hire(servers addresses, office string) {
	p := r.plan
	for i := range p.Pods {
		b := &berth{index: i, config: podConfig{
			Seed: p.Seed + uint64(i)*1000, Servers: servers, ReadTimeout: p.ReadTimeout, Window: p.Window,
			PodLease: p.PodLease, Refresh: p.Refresh, Reserve: p.Reserve, Limit: p.Limit, Queue: p.Queue, Waits: p.Waits, Calm: p.Calm, Once: p.Once,
		}}
		if p.Source {
			b.config.Source = office
		}
		for shard := i; shard < p.Shards; shard += p.Pods {
			b.config.Shards = append(b.config.Shards, shard)
		}
		if r.server != nil {
			b.link = newLink(r.t, r.server.Addr)
			b.config.Servers.Addrs = []string{b.link.addr}
			b.link.lossy.lose(p.LoseRequests, p.LoseReplies, p.Mute)
		}
		r.fleet.berths = append(r.fleet.berths, b)
	}
}

// await asks until it is so, and returns the answer, or zero when the limit has
// passed.
func (r *run) await(limit time.Duration, ask func() (time.Duration, bool)) time.Duration {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if at, ok := ask(); ok {
			return at
		}
	}
	return 0
}

func (r *run) firstAfter(end time.Duration) (time.Duration, bool) {
	first := time.Duration(0)
	for _, e := range r.fleet.record() {
		if e.kind == "identify" && e.at > end && (first == 0 || e.at < first) {
			first = e.at
		}
	}
	if r.plan.Once && len(r.fleet.unserved()) == 0 {
		return end, true
	}
	return first, first > 0
}

// judge looks at what was done once all pods have ended.
func (r *run) judge(resumed time.Duration) verdict {
	events := r.fleet.record()
	all := identifies(events)
	v := verdict{
		Identifies: len(all), Violations: violations(all, r.plan.Window, r.discord.used()),
		Unserved: r.fleet.unserved(), Errors: r.fleet.errors, Resumed: max(resumed, -1), LeastGap: leastGap(all), Units: -1,
	}
	var counts [2]int
	for _, e := range all {
		counts[r.discord.period(e.at)]++
	}
	v.Over = max(0, counts[0]-r.plan.Limit.Remaining, counts[1]-r.plan.Limit.Total)
	if !r.lost.Load() && counts[1] == 0 {
		key := keyPrefix + "remaining"
		if r.plan.Queue != "redis" {
			key = naiveBudget
		}
		text, err := r.admin.Get(context.Background(), key).Result()
		left, err2 := strconv.Atoi(text)
		if err != nil || err2 != nil {
			v.Errors = append(v.Errors, fmt.Sprintf("remaining is %q: %v", text, err))
		}
		v.Units = r.plan.Limit.Remaining - left
		v.Unused, v.Uncounted = max(0, v.Units-len(all)), max(0, len(all)-v.Units)
		v.Explained = int(r.explained.Load())
	}
	if resumed < 0 {
		v.Errors = append(v.Errors, fmt.Sprintf("nothing was granted within %v of the end of the faults", resumeLimit))
	}
	r.write(events, v)
	return v
}

// write leaves what happened in the run's directory.
func (r *run) write(events []event, v verdict) {
	lines := slices.Clone(r.log)
	for _, e := range events {
		lines = append(lines, e.String())
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[:12], b[:12]) })
	lines = append([]string{r.plan.String()}, append(lines, v.String())...)
	lines = append(lines, v.bad()...)
	if err := os.WriteFile(filepath.Join(r.dir, "run.log"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		r.t.Error(err)
	}
}
