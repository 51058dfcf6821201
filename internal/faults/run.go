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
	t        testing.TB
	plan     plan
	dir      string
	fleet    *fleet
	discords []*discord            // of each bot
	admin    redis.UniversalClient // straight to the server
	servers  addresses             // as for a pod without faults on its way

	server   *redistest.Server // the one, nil with Sentinels or a Cluster
	sentinel *redistest.Sentinel
	cluster  *redistest.Cluster
	pair     *pair
	balancer *balancer
	busy     sync.Mutex // held while a fault acts on a server

	faultsOver time.Duration
	explained  atomic.Int64 // units that faults may have cost
	lost       atomic.Bool  // state may have been lost: units are not known

	mu  sync.Mutex
	log []string
}

// note writes what happens into the run's log.
func (r *run) note(format string, args ...any) {
	r.logAt(clock(), format, args...)
}

func (r *run) logAt(at time.Duration, format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, fmt.Sprintf("%12d %s", at, fmt.Sprintf(format, args...)))
}

// executeAfter does something before the pods start, runs the plan and returns the
// verdict. dir takes the logs.
func executeAfter(t testing.TB, p plan, dir string, before func(*run)) verdict {
	t.Helper()
	r := &run{t: t, plan: p, dir: dir, balancer: new(balancer)}
	r.servers = r.startServers()
	var offices []string
	for range max(1, p.Bots) {
		d := newDiscord(p.Limit, p.Period)
		office := httptest.NewServer(d)
		t.Cleanup(office.Close)
		r.discords, offices = append(r.discords, d), append(offices, office.URL)
	}
	r.fleet = newFleet(t, dir, func(e event) {
		switch {
		case e.kind == "identify":
			r.discords[e.bot].spent(e.at, 1)
		case e.kind == "over" && e.text != "" && p.Servers == "http" && len(p.Faults) > 0:
			r.explained.Add(1) // the server may not have heard that it gave up
		case e.kind == "serves":
			r.balancer.set(int(e.pod[1]-'0'), e.text)
		case e.kind == "closed" && e.text == "untold": // it ended while Redis was away
			r.died()
		}
	})
	r.hire(offices)
	before(r)
	for i, b := range r.fleet.berths {
		r.fleet.launch(b)
		if p.Servers == "http" && i == httpServers-1 {
			r.awaitServers()
		}
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
	if p.Servers == "http" { // a client hears of a silent connection seconds later, which counts as a stall
		for _, l := range r.links() {
			l.lossy.lose(0, 0, 0)
		}
	}
	end := clock()
	r.faultsOver = end
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
	if r.plan.Servers == "pair" {
		r.startPair(b)
		return addresses{"server", []string{r.pair.admin.addr()}}
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
func (r *run) hire(offices []string) {
	p := r.plan
	first := 0 // of those that bring up shards
	if p.Servers == "http" {
		first = httpServers
	}
	for i := range first + p.Pods {
		bot := i % len(r.discords)
		b := &berth{index: i, discord: r.discords[bot], config: podConfig{
			Seed: p.Seed + uint64(i)*1000, Servers: r.servers, ReadTimeout: p.ReadTimeout, Window: p.Window, Bot: bot,
			PodLease: p.PodLease, Refresh: p.Refresh, Reserve: p.Reserve, Limit: p.Limit, Queue: p.Queue, Waits: p.Waits, Calm: p.Calm, Once: p.Once,
			Dial: p.Dial, Period: p.Period, Versions: p.Versions, Replicas: p.Replicas, PoolSize: p.PoolSize,
		}}
		if bot > 0 {
			b.config.App = fmt.Sprintf("bot%d", bot)
		}
		if p.Source {
			b.config.Source = offices[bot]
		}
		way := ""
		switch {
		case r.pair != nil:
			way = r.pair.servers[0].Addr
		case r.server != nil:
			way = r.server.Addr
		}
		switch {
		case i < first:
			b.config.Role = "server"
			b.link = newLink(r.t, newLossy(r.t, way))
		case first > 0:
			b.config.Role = "client"
			b.link = newLink(r.t, newLossyTo(r.t, r.balancer.pick))
			b.config.Address = b.link.addr
		case way != "":
			b.link = newLink(r.t, newLossy(r.t, way))
		}
		if b.link != nil {
			b.link.lossy.lose(p.LoseRequests, p.LoseReplies, p.Mute)
			b.config.Servers.Addrs = []string{b.link.addr}
		}
		if i >= first {
			mine := i - first
			for shard := mine / len(r.discords); shard < p.Shards; shard += (p.Pods - bot + len(r.discords) - 1) / len(r.discords) {
				b.config.Shards = append(b.config.Shards, shard)
			}
		}
		r.fleet.berths = append(r.fleet.berths, b)
	}
}

// visitor is a client of the servers as they are now.
func (r *run) visitor() redis.UniversalClient { return r.servers.client(300*time.Millisecond, 0) }

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
	v := verdict{Unserved: r.fleet.unserved(), Errors: r.fleet.errors, Resumed: max(resumed, -1), LeastGap: time.Hour, Units: -1}
	counted := !r.lost.Load() && len(r.discords) == 1
	for bot, d := range r.discords {
		all := identifies(of(bot, events))
		v.Identifies += len(all)
		v.Violations = append(v.Violations, violations(all, r.plan.Window, d.used())...)
		v.Expired += len(slices.DeleteFunc(slices.Clone(events), func(e event) bool { return e.bot != bot || e.kind != "expired" }))
		v.LeastGap = min(v.LeastGap, leastGap(all))
		over, periods := d.over()
		for _, p := range periods {
			r.logAt(p.Begins, "period of bot %d until %d: %d spent", bot, p.Ends, p.Spent)
		}
		v.Over += over
		counted = counted && len(periods) <= 1 && (len(periods) == 0 || clock() < periods[0].Ends-time.Second)
	}
	if counted {
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
		if r.plan.Source { // a refresh counts what it cannot know to be in its figure, until the next
			v.Units = r.spent()
		}
		v.Unused, v.Uncounted = max(0, v.Units-v.Identifies), max(0, v.Identifies-v.Units, left-(r.plan.Limit.Remaining-v.Identifies))
		v.Explained = int(r.explained.Load())
		if v.Unused > v.Explained || v.Uncounted > 0 {
			r.notePaid()
		}
	}
	if len(r.discords) == 1 && len(r.discords[0].used()) == 1 && r.plan.bounded() {
		v.Stalled = stalled(events, r.faultsOver, r.plan.Limit.MaxConcurrency)
	}
	if resumed < 0 {
		v.Errors = append(v.Errors, fmt.Sprintf("nothing was granted within %v of the end of the faults", resumeLimit))
	}
	r.write(events, v)
	return v
}

// spent is the sum of what Redis has of each shard.
func (r *run) spent() int {
	sum := 0
	for _, text := range r.admin.HGetAll(context.Background(), keyPrefix+"spent").Val() {
		n, _ := strconv.Atoi(text) // the queue refuses what is no number
		sum += n
	}
	return sum
}

// notePaid notes what became of tickets: a unit that nobody used belongs to one of them.
func (r *run) notePaid() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, key := range r.admin.Keys(ctx, keyPrefix+"paid:*").Val() {
		r.note("%s is %q", key, r.admin.Get(ctx, key).Val())
	}
	r.note("spent: %v", r.admin.HGetAll(ctx, keyPrefix+"spent").Val())
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
