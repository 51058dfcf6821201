// Package sizing measures what a fleet takes of Redis: while it starts, while its
// shards come up one after the other, and while it runs. It reports counts, bytes and
// CPU times, which hardly depend on what else the machine does.
package sizing

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gatewayqueue/gatewayqueue"
	"github.com/gatewayqueue/gatewayqueue/bench/server"
	"github.com/gatewayqueue/gatewayqueue/redisqueue"
)

// Fleet is one that starts all at once.
type Fleet struct{ Shards, MaxConcurrency, Pods int }

// Fleets are those of docs/sizing.md. All of them take two and a half minutes.
var Fleets = []Fleet{{100, 1, 2}, {1000, 1, 8}, {1000, 16, 8}, {10000, 16, 40}, {10000, 64, 40}}

const (
	app   = "sizing"
	dial  = 300 * time.Millisecond // from the grant to IDENTIFY
	step  = gatewayqueue.IdentifyDelay + gatewayqueue.IdentifiedMargin + dial
	steps = 3               // windows, for which a fleet is looked at while it comes up
	idle  = 5 * time.Second // for which one is looked at that is up

	// arrives bounds how long it may take until all stand in line: on a machine with
	// other things to do, all pods are in one process.
	arrives = time.Minute
)

// Result is what a fleet takes.
type Result struct {
	Fleet
	Arrival Phase         // from the first call until all stand in line
	Up      Phase         // then, for some windows
	Idle    Phase         // once nobody waits
	Waiter  float64       // bytes of Redis for a shard that waits
	Granted float64       // bytes for one that was granted, until the reset
	Data    float64       // bytes of all keys while all wait
	Used    float64       // bytes of used_memory then, less those of an empty server
	Conns   int           // of all pods, at most
	Takes   time.Duration // until all are up, computed
}

// Phase is what Redis did meanwhile.
type Phase struct {
	server.Cost
	Grants float64
}

// Measure brings up a fleet for some windows, and takes it down.
func Measure(f Fleet, log io.Writer) (Result, error) {
	r := Result{Fleet: f, Takes: time.Duration((f.Shards+f.MaxConcurrency-1)/f.MaxConcurrency) * step}
	s, err := server.Start()
	if err != nil {
		return r, err
	}
	defer s.Stop()
	w := &watch{client: redis.NewClient(&redis.Options{Addr: s.Addr, PoolSize: 1, ReadTimeout: 30 * time.Second}), meter: s.NewMeter()}
	defer w.meter.Close()
	defer w.client.Close() //nolint:errcheck // nothing is left to do
	empty := w.info("memory", "used_memory:")
	var grants atomic.Int64
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	pods, err := open(f, s.Addr)
	defer pods.close()
	if err != nil {
		return r, err
	}

	from := w.read(&grants)
	var shards sync.WaitGroup
	for shard := range f.Shards {
		q := pods[shard*f.Pods/f.Shards].queue
		shards.Go(func() {
			_ = gatewayqueue.Identify(ctx, q, shard, // it ends with ctx
				func(context.Context) error { time.Sleep(dial); return nil },
				func(context.Context) error { grants.Add(1); return nil })
		})
	}
	for end := time.Now().Add(arrives); w.standing(f)+int(grants.Load()) < f.Shards-f.MaxConcurrency; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			return r, fmt.Errorf("sizing: %d of %d shards stand in line after %v", w.standing(f), f.Shards, arrives)
		}
		r.Conns = max(r.Conns, int(w.info("clients", "connected_clients:"))-2)
	}
	there := w.read(&grants)
	r.Arrival = there.since(from)
	r.Waiter, r.Data = w.bytes("queue:*")/float64(max(1, w.standing(f))), w.bytes("*")
	r.Used = w.info("memory", "used_memory:") - empty
	time.Sleep(time.Second) // what looking at each key took is over
	from = w.read(&grants)
	time.Sleep(steps * gatewayqueue.IdentifyDelay)
	r.Up = w.read(&grants).since(from)
	r.Conns = max(r.Conns, int(w.info("clients", "connected_clients:"))-2)
	r.Granted = (w.bytes("paid:*") + w.bytes("spent")) / float64(max(1, grants.Load()))
	leave()
	shards.Wait()
	time.Sleep(4 * time.Second) // the pods' leases end
	from = w.read(&grants)
	time.Sleep(idle)
	r.Idle = w.read(&grants).since(from)
	fmt.Fprintf(log, "%d shards, max_concurrency %d, %d pods: done\n", f.Shards, f.MaxConcurrency, f.Pods)
	return r, w.err
}

// pod is one, with a client of its own.
type pod struct {
	queue  *redisqueue.RedisQueue
	client *redis.Client
}

type fleet []pod

func open(f Fleet, addr string) (pods fleet, err error) {
	limit := gatewayqueue.SessionStartLimit{
		Total: 2*f.Shards + 1000, Remaining: 2*f.Shards + 1000, ResetAfter: gatewayqueue.LimitPeriod, MaxConcurrency: f.MaxConcurrency,
	}
	for n := range f.Pods {
		client := redis.NewClient(&redis.Options{Addr: addr})
		q, err := redisqueue.New(client, redisqueue.WithApp(app), redisqueue.WithPod(fmt.Sprintf("pod-%d", n)), redisqueue.WithLimit(limit),
			redisqueue.WithFreshStart(), redisqueue.WithHistory(), redisqueue.WithLogger(slog.New(slog.DiscardHandler)))
		if err != nil {
			return pods, err
		}
		pods = append(pods, pod{q, client})
	}
	return pods, nil
}

func (f fleet) close() {
	for _, p := range f {
		_ = p.queue.Close()
		_ = p.client.Close()
	}
}

// watch looks at the server, over connections of its own.
type watch struct {
	client *redis.Client
	meter  *server.Meter
	err    error // the first
}

type look struct {
	server.Reading
	grants float64
}

func (w *watch) read(grants *atomic.Int64) look {
	r, err := w.meter.Read()
	w.note(err)
	return look{r, float64(grants.Load())}
}

func (l look) since(from look) Phase {
	return Phase{l.Since(from.Reading, []string{"evalsha", "eval"}), l.grants - from.grants}
}

func (w *watch) note(err error) {
	if err != nil && w.err == nil {
		w.err = err
	}
}

// info is a number of INFO.
func (w *watch) info(section, field string) (n float64) {
	text, err := w.client.Info(context.Background(), section).Result()
	w.note(err)
	_, text, _ = strings.Cut(text, field)
	_, err = fmt.Sscan(text, &n)
	w.note(err)
	return n
}

// standing is how many stand in all lines.
func (w *watch) standing(f Fleet) int {
	var counts []*redis.IntCmd
	_, err := w.client.Pipelined(context.Background(), func(p redis.Pipeliner) error {
		for bucket := range f.MaxConcurrency {
			counts = append(counts, p.ZCard(context.Background(), fmt.Sprintf("identify:{%s}:queue:%d", app, bucket)))
		}
		return nil
	})
	w.note(err)
	sum := 0
	for _, c := range counts {
		sum += int(c.Val())
	}
	return sum
}

// bytes is what keys take, by MEMORY USAGE of all that is in them.
func (w *watch) bytes(pattern string) float64 {
	ctx, sum := context.Background(), int64(0)
	for keys := w.client.Scan(ctx, 0, "identify:{"+app+"}:"+pattern, 1000).Iterator(); keys.Next(ctx); {
		sum += w.client.MemoryUsage(ctx, keys.Val(), 0).Val() // 0 for one that has just gone
	}
	return float64(sum)
}
