package faults

// Faults of the line: pods that come back after a while, and a fleet that died.

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

var lineFaults = map[string]fault{
	"pods idle":    {do: idlePods, servers: "server pair http", anywhere: true},
	"dead fleet":   {do: deadFleet, servers: "server pair http", anywhere: true},
	"another bot":  {do: anotherBot, servers: "server pair http", anywhere: true},
	"many looking": {do: manyLooking, servers: "server pair", anywhere: true},
}

// idlePods lets some pods want nothing for a while: they remember a state of long
// ago when they come back, all at once.
func idlePods(r *run, random *rand.Rand, length time.Duration) {
	length += r.plan.Window
	for _, b := range r.fleet.berths[1:] { // the first goes on, so that there is something to miss
		if random.IntN(3) > 0 {
			b.order("idle " + length.String())
		}
	}
	time.Sleep(length)
}

// deadFleet puts thousands of tickets of dead pods into each line, some of pods that
// nobody remembers and some of pods that died this moment, while buckets are closed:
// behind the first who lives, and before all others.
func deadFleet(r *run, random *rand.Rand, length time.Duration) {
	for _, b := range r.fleet.berths {
		b.order("idle 1m")
	}
	r.onServer(func(ctx context.Context) {
		time.Sleep(r.plan.Window) // permits that are out are settled
		for bucket := range r.plan.Limit.MaxConcurrency {
			r.admin.Set(ctx, keyPrefix+"slot:"+fmt.Sprint(bucket), "by hand", max(length, 2*r.plan.Window))
		}
		for _, b := range r.fleet.berths {
			b.order("idle 0s")
		}
		time.Sleep(r.plan.Window)
		for bucket := range r.plan.Limit.MaxConcurrency {
			r.bury(ctx, random, bucket)
		}
	})
	time.Sleep(2 * length)
}

// bury puts 2,000 to 5,000 tickets of dead pods into a line.
func (r *run) bury(ctx context.Context, random *rand.Rand, bucket int) {
	now, err := r.admin.Time(ctx).Result()
	if err != nil {
		r.note("no tickets of dead pods: %v", err)
		return
	}
	line := keyPrefix + "queue:" + fmt.Sprint(bucket)
	at := float64(now.UnixMilli())
	if first := r.admin.ZRangeWithScores(ctx, line, 0, 0).Val(); len(first) > 0 {
		at = first[0].Score + 1
	}
	n, name := 2000+random.IntN(3000), fmt.Sprintf("ghost%d", random.IntN(1e6))
	fresh := random.IntN(3) == 0
	tickets, leases := make([]redis.Z, 0, n), []redis.Z{{Score: float64(now.UnixMilli()), Member: name}}
	for i := range n {
		pod := fmt.Sprintf("%s-%d", name, i%(1+n/20))
		tickets = append(tickets, redis.Z{Score: at, Member: fmt.Sprintf("%05d@%s#1", random.IntN(60000), pod)})
		if fresh && i%10 == 0 { // it has died this moment
			leases = append(leases, redis.Z{Score: float64(now.Add(r.plan.PodLease).UnixMilli()), Member: pod})
		}
	}
	r.note("%d tickets of dead pods in bucket %d: %v, %v", n, bucket,
		r.admin.ZAddNX(ctx, line, tickets...).Err(), r.admin.ZAddNX(ctx, keyPrefix+"pods", leases...).Err())
}

// anotherBot starts a pod of another bot in this Redis again and again: whatever a
// server tells the first that asks, it tells that one.
func anotherBot(r *run, random *rand.Rand, length time.Duration) {
	var all sync.WaitGroup
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		name := fmt.Sprintf("another%d", random.IntN(1e6))
		all.Go(func() { r.visit(name) })
	}
	all.Wait()
}

// manyLooking reads the status all the time.
func manyLooking(r *run, random *rand.Rand, length time.Duration) {
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		r.someBerth(random).order("look")
	}
}

// visit is the life of a pod of another bot, in this process.
func (r *run) visit(app string) { r.visitWith(r.visitor(), app) }

// visitAt is visit at a server that no pod uses yet.
func (r *run) visitAt(addr string) {
	r.visitWith(addresses{"server", []string{addr}}.client(300*time.Millisecond, 0), "another")
}

func (r *run) visitWith(client redis.UniversalClient, app string) {
	defer client.Close()
	queue, err := redisqueue.New(client, redisqueue.WithLogger(slog.New(slog.DiscardHandler)), redisqueue.WithApp(app), redisqueue.WithPod(app), redisqueue.WithWindow(r.plan.Window),
		redisqueue.WithLimit(gatewayqueue.SessionStartLimit{Total: 1000, Remaining: 1000, MaxConcurrency: 1}))
	if err != nil {
		r.t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.plan.Window/2)
	defer cancel()
	_ = queue.Wait(ctx, 0) // it may not get so far
	_, _ = queue.Status(ctx)
	_ = queue.Close()
}
