package faults

// Servers that replicate by hand: a master and two replicas, as a Sentinel would
// have them, but each step is ours: who follows whom, what gets lost on the way, who
// is on which side of a partition.

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// pair is a master, the replica that may take its place, and one more replica, for
// those who want each grant acknowledged.
type pair struct {
	servers []*redistest.Server
	ways    []*lossy // for replicas, one to each server
	admin   *lossy   // to the master

	mu     sync.Mutex
	master int
}

// startPair starts the three and lets them follow the first.
func (r *run) startPair(b redistest.Binary) {
	r.pair = &pair{}
	for range 3 {
		s := b.Start(r.t, "--repl-ping-replica-period", "1", "--min-replicas-max-lag", "1", "--repl-timeout", "5")
		r.pair.servers = append(r.pair.servers, s)
		r.pair.ways = append(r.pair.ways, newLossy(r.t, s.Addr))
	}
	r.pair.admin = newLossy(r.t, r.pair.servers[0].Addr)
	admin := redis.NewClient(&redis.Options{Addr: r.pair.admin.addr()})
	r.t.Cleanup(func() { _ = admin.Close() })
	r.admin = admin
	r.follow(1, 0)
	r.follow(2, 0)
}

func (p *pair) who() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.master
}

// to makes server i the one that those links lead to.
func (r *run) to(i int, links ...*link) {
	addr := r.pair.servers[i].Addr
	for _, l := range links {
		l.lossy.retarget(addr)
	}
}

// mastered notes who is master now.
func (r *run) mastered(i int) {
	r.pair.mu.Lock()
	r.pair.master = i
	r.pair.mu.Unlock()
	r.pair.admin.retarget(r.pair.servers[i].Addr)
	r.note("server %d is master", i)
}

func (r *run) links() []*link {
	var all []*link
	for _, b := range r.fleet.berths {
		if b.link != nil {
			all = append(all, b.link)
		}
	}
	return all
}

// ask sends a command to server i, straight.
func (r *run) ask(i int, words ...any) string {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	reply, err := r.pair.servers[i].Client(r.t).Do(ctx, words...).Result()
	if err != nil {
		r.note("server %d: %v: %v", i, words, err)
	}
	return fmt.Sprint(reply)
}

// follow makes server i a replica of another, and returns when it has its data.
func (r *run) follow(i, master int) {
	host, port, _ := net.SplitHostPort(r.pair.ways[master].addr())
	r.ask(i, "REPLICAOF", host, port)
	if r.await(10*time.Second, func() (time.Duration, bool) {
		info := r.ask(i, "INFO", "replication")
		return 1, strings.Contains(info, "master_link_status:up") && strings.Contains(info, "master_port:"+port)
	}) == 0 {
		r.note("server %d does not follow %d", i, master)
	}
}

// offset is how far server i has come in the stream of its master.
func (r *run) offset(i int) string {
	_, rest, _ := strings.Cut(r.ask(i, "INFO", "replication"), "master_repl_offset:")
	offset, _, _ := strings.Cut(rest, "\r")
	return offset
}

// promote ends the replication of server i.
func (r *run) promote(i int) { r.ask(i, "REPLICAOF", "NO", "ONE") }

// handOver makes server `to` the master without a loss: nobody writes while it
// catches up.
func (r *run) handOver(to int) {
	from := r.pair.who()
	links := r.links()
	for _, l := range links {
		l.lossy.cut(true)
	}
	r.await(5*time.Second, func() (time.Duration, bool) { return 1, r.offset(from) == r.offset(to) })
	r.promote(to)
	r.to(to, links...)
	for _, l := range links {
		l.lossy.cut(false)
	}
	r.mastered(to)
	for i := range r.pair.servers {
		if i != to {
			r.follow(i, to)
		}
	}
}

// leave makes server `to` the master, which has missed what was granted since
// replication ended; between says what happens in that time, and after its
// promotion, before pods come.
func (r *run) leave(to int, between, after func()) {
	from := r.pair.who()
	r.promote(to) // here replication ends
	between()
	links := r.links()
	for _, l := range links {
		l.lossy.cut(true)
	}
	r.ask(from, "CLIENT", "KILL", "TYPE", "normal")
	after()
	r.to(to, links...)
	for _, l := range links {
		l.lossy.cut(false)
	}
	r.mastered(to)
	for i := range r.pair.servers {
		if i != to {
			r.follow(i, to)
		}
	}
}

func (p *pair) other() int { return 1 - p.who()%2 } // the third is never master

var pairFaults = map[string]fault{
	"forgotten promotion": {do: forgotten(promoteForgotten), servers: "pair", loses: true, needsSource: true},
	"forgotten failback":  {do: forgotten(failBackForgotten), servers: "pair", loses: true, needsSource: true},
	"handover":            {do: handOver, servers: "pair"},
	"lagging promotion":   {do: promoteLagging, servers: "pair", loses: true, needsSource: true},
	"failback":            {do: failBack, servers: "pair", loses: true, needsSource: true},
	"refused in failover": {do: refusedFailover, servers: "pair", loses: true, needsSource: true},
	"partition":           {do: partition, servers: "pair", loses: true, needsSource: true, once: true, needsReplicas: true},
	"late partition":      {do: latePartition, servers: "pair", loses: true, needsSource: true, once: true},
}

func handOver(r *run, _ *rand.Rand, length time.Duration) {
	r.onServer(func(context.Context) { r.handOver(r.pair.other()) })
	time.Sleep(length)
}

func promoteLagging(r *run, random *rand.Rand, length time.Duration) {
	r.onServer(func(context.Context) {
		r.leave(r.pair.other(), func() { time.Sleep(upTo(random, r.plan.Window+length/4)) }, func() { time.Sleep(upTo(random, length/2)) })
	})
}

// failBack is A-B-A: a failover without a loss, work on the other, and then back to
// the first, which knows scripts and pods, but not the last grants.
func failBack(r *run, random *rand.Rand, length time.Duration) {
	r.onServer(func(context.Context) {
		first := r.pair.who()
		r.handOver(r.pair.other())
		time.Sleep(length)
		r.leave(first, func() { time.Sleep(upTo(random, r.plan.Window+length/4)) }, func() { time.Sleep(upTo(random, r.plan.Window)) })
	})
}

// forgotten lets one pod alone work while something happens that makes its last grants
// forgotten, and die then. The others remember a state of before, and come back.
func forgotten(lose func(r *run, random *rand.Rand, length time.Duration, die func())) func(*run, *rand.Rand, time.Duration) {
	return func(r *run, random *rand.Rand, length time.Duration) {
		witness := r.fleet.berths[0]
		others := r.fleet.berths[1:]
		for _, b := range others {
			b.order("idle 1m")
		}
		time.Sleep(2 * r.plan.Window) // what they wait for is over
		witness.busy.Lock()
		r.onServer(func(context.Context) {
			lose(r, random, length, func() {
				r.died()
				witness.kill()
			})
		})
		for _, b := range others {
			b.order("idle 0s")
		}
		time.Sleep(length)
		r.fleet.launch(witness)
		witness.busy.Unlock()
	}
}

// awaitGrant returns when that berth's pod has just identified.
func (r *run) awaitGrant(b *berth) {
	from, p := clock(), b.current()
	r.await(5*time.Second, func() (time.Duration, bool) {
		return 1, slices.ContainsFunc(r.fleet.record(), func(e event) bool {
			return e.kind == "identify" && e.pod == p.name && e.at > from
		})
	})
}

func promoteForgotten(r *run, _ *rand.Rand, _ time.Duration, die func()) {
	to := r.pair.other()
	r.leave(to, func() { r.awaitGrant(r.fleet.berths[0]) }, func() {
		die()
		r.visitAt(r.pair.servers[to].Addr) // whatever that server tells the first who comes
	})
}

func failBackForgotten(r *run, _ *rand.Rand, length time.Duration, die func()) {
	first := r.pair.who()
	r.handOver(r.pair.other())
	time.Sleep(length)
	r.leave(first, func() { r.awaitGrant(r.fleet.berths[0]) }, die)
}

// refusedFailover is a failover to a lagging replica that refuses to write at first:
// a pod that comes meanwhile has met the server, but got nothing done.
func refusedFailover(r *run, random *rand.Rand, length time.Duration) {
	r.onServer(func(ctx context.Context) {
		to := r.pair.other()
		kind := random.IntN(4)
		r.leave(to, func() { time.Sleep(upTo(random, r.plan.Window)) }, func() {
			switch kind {
			case 0:
				r.ask(to, "CONFIG", "SET", "min-replicas-to-write", "3")
			case 1:
				r.ask(to, "CONFIG", "SET", "maxmemory", "1")
			case 2:
				r.misconfigure(to)
			case 3: // its master is there no more
				r.ask(to, "REPLICAOF", "127.0.0.1", "1")
			}
			go func() { // pods come while it refuses
				time.Sleep(length / 2)
				switch kind {
				case 0:
					r.ask(to, "CONFIG", "SET", "min-replicas-to-write", "0")
				case 1:
					r.ask(to, "CONFIG", "SET", "maxmemory", "0")
				case 2:
					r.ask(to, "CONFIG", "SET", "save", "")
				case 3:
					r.promote(to)
				}
			}()
		})
		time.Sleep(length/2 + 100*time.Millisecond)
		for i := range r.pair.servers { // those that tried to follow a replica
			if i != to {
				r.follow(i, to)
			}
		}
	})
}

// misconfigure lets a server's snapshots fail, so that it answers MISCONF.
func (r *run) misconfigure(i int) {
	defer r.inTheWay(r.pair.servers[i])()
	r.ask(i, "CONFIG", "SET", "save", "3600 1000000")
	r.ask(i, "BGSAVE")
	r.await(2*time.Second, func() (time.Duration, bool) {
		return 1, strings.Contains(r.ask(i, "INFO", "persistence"), "rdb_last_bgsave_status:err")
	})
}

// partition lets two masters grant at once, each to its side: one has a replica that
// acknowledges, and the other is alone.
func partition(r *run, random *rand.Rand, length time.Duration) {
	r.onServer(func(context.Context) { r.divide(random, upTo(random, length), length+2*r.plan.Window) })
}

// latePartition is a partition with min-replicas-to-write 1 and a promotion that comes
// no sooner than the bound in docs/operations.md: the side that is cut off has refused
// to write for a window by then.
func latePartition(r *run, random *rand.Rand, length time.Duration) {
	r.onServer(func(context.Context) {
		for i := range r.pair.servers {
			r.ask(i, "CONFIG", "SET", "min-replicas-to-write", "1")
		}
		const lag = time.Second // min-replicas-max-lag
		r.divide(random, lag+2*time.Second+r.plan.Window, length)
		for i := range r.pair.servers {
			r.ask(i, "CONFIG", "SET", "min-replicas-to-write", "0")
		}
	})
}

// divide cuts the master with some of the pods off from the rest, promotes the other
// after a while, lets both go on for as long, and joins them again.
func (r *run) divide(random *rand.Rand, promoted, both time.Duration) {
	old, to := r.pair.who(), r.pair.other()
	r.pair.ways[old].cut(true) // from here on it has no replica
	links := r.links()
	random.Shuffle(len(links), func(i, j int) { links[i], links[j] = links[j], links[i] })
	side := links[:1+random.IntN(len(links)-1)] // of the new master
	for _, l := range side {
		l.lossy.cut(true)
	}
	r.note("a partition: server %d and %d of %d pods are alone", old, len(links)-len(side), len(links))
	time.Sleep(promoted)
	r.promote(to)
	r.follow(2, to)
	r.to(to, side...)
	for _, l := range side {
		l.lossy.cut(false)
	}
	r.mastered(to)
	time.Sleep(both)
	rest := slices.Clone(links[len(side):])
	r.to(to, rest...)
	r.pair.ways[old].cut(false)
	r.follow(old, to)
	r.note("the partition is over")
}

func upTo(random *rand.Rand, d time.Duration) time.Duration {
	return time.Duration(random.Float64() * float64(d))
}
